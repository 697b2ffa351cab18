// Package gotool runs the go command, for programs that build others to measure or to
// torment them. It is no part of the binary.
package gotool

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Run runs the go command and gives what it prints, trimmed. What it builds is static.
// The error has what it says.
func Run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, &stderr)
	}
	return strings.TrimSpace(string(out)), nil
}
