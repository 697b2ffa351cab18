package project_test

import (
	"io"
	"os"
	"testing"

	"github.com/sirupsen/logrus"
)

func TestMain(m *testing.M) {
	logrus.SetOutput(io.Discard) // where compose-go's template warns of unset variables
	os.Exit(m.Run())
}
