package worldtest

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/ktrdr/kinfra/internal/world"
)

// Path is the path, with the query, that an HTTP request to a service asks for.
func Path(req world.Request) (string, error) {
	line, err := bufio.NewReader(req.Body).ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("reading the request: %w", err)
	}
	_, target, _ := strings.Cut(line, " ")
	path, _, _ := strings.Cut(target, " ")
	return path, nil
}
