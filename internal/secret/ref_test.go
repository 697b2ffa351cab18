package secret_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/ktrdr/kinfra/internal/secret"
)

func TestParse(t *testing.T) {
	for _, valid := range []string{
		"env://A", "env://DB_PASSWORD", "env://_a1",
		"file:///run/secrets/db", "file://~/secrets/db", "file:///a b/ä#$%20", "file:///a/../b",
		"op://vault/item/field", "op://My Vault/an item/a section/the.field", "op://x7-_/y/z?attribute=otp", "op://v/i/f?ssh-format=openssh",
	} {
		ref, err := secret.Parse(valid)
		if err != nil || ref.String() != valid {
			t.Errorf("Parse(%q) = %q, %v", valid, ref, err)
		}
	}
	for _, invalid := range []string{
		"", "canary", "canary://x", "ENV://A", " env://A", "http://canary", "op:canary",
		"env://", "env://1A", "env://A-B", "env://A B", "env://A\n", "env://A=canary", "env://ä", "env://a/b",
		"file://", "file:///", "file://canary", "file://canary/x", "file://./x", "file://~", "file://~/", "file://~canary/x", "file:///a/", "file:///a\x00b", "file://~~/a",
		"op://", "op://vault", "op://vault/item", "op://a/b/c/d/e", "op://a//c", "op://a/ /c", "op:///b/c", "op://a/b/", "op://a/b/c?",
		"op://a/b/$canary", "op://a/b/`x`", `op://a/b/"c`, "op://a/b/c\n", "op://a/b/ü", "op://a/b/c?x/y", "op://a/b/c?x?y",
	} {
		ref, err := secret.Parse(invalid)
		if !errors.Is(err, secret.ErrInvalid) || ref != (secret.Ref{}) {
			t.Errorf("Parse(%q) = %q, %v, want an ErrInvalid", invalid, ref, err)
		} else if strings.Contains(err.Error(), "canary") {
			t.Errorf("Parse(%q) shows what it was given: %v", invalid, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"env://A", "file:///a", "file://~/a", "op://a/b/c", "op://a/b/c/d?e=f", "x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ref, err := secret.Parse(text)
		switch {
		case err == nil && ref.String() != text:
			t.Errorf("Parse(%q) is %q", text, ref)
		case err == nil && strings.HasPrefix(text, "op://") && strings.ContainsAny(text, "\"'`$\\\n\x00"):
			t.Errorf("Parse(%q) accepts what a shell takes for more than it is", text)
		case err != nil && !errors.Is(err, secret.ErrInvalid):
			t.Errorf("Parse(%q): %v", text, err)
		}
	})
}

func TestCheckName(t *testing.T) {
	for name, valid := range map[string]bool{
		"DB_PASSWORD": true, "_a": true, "a1": true, "PATHS": true, "DOCKER": true,
		"": false, "1a": false, "A=B": false, "A-B": false, "A\x00": false, "PATH": false, "HOME": false, "SSH_AUTH_SOCK": false, "PWD": false, "DOCKER_HOST": false, "COMPOSE_FILE": false,
	} {
		err := secret.CheckName(name)
		if valid != (err == nil) || err != nil && !errors.Is(err, secret.ErrInvalid) {
			t.Errorf("CheckName(%q) = %v, valid: %t", name, err, valid)
		}
	}
}
