package ports

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestVerify(t *testing.T) {
	claim := func(owner, name string, number int) Claim { return Claim{Owner: owner, Name: name, Number: number} }
	for _, test := range []struct {
		name   string
		claims []Claim
		want   string
	}{
		{"nothing", nil, ""},
		{"apart", []Claim{claim("slot 1", "api", 8001), claim("slot 2", "api", 8002)}, ""},
		{"the bounds", []Claim{claim("slot 1", "low", 1024), claim("slot 1", "high", 65535)}, ""},
		{
			"between slots",
			[]Claim{claim("slot 2", "otlp_grpc", 4319), claim("slot 1", "otlp_http", 4318), claim("slot 2", "otlp_grpc", 4318)},
			`port 4318 is used twice: slot 1 "otlp_http" and slot 2 "otlp_grpc"`,
		},
		{
			"within a slot",
			[]Claim{claim("slot 1", "a", 5000), claim("slot 1", "b", 5000)},
			`port 5000 is used twice: slot 1 "a" and slot 1 "b"`,
		},
		{
			"each of many with the first",
			[]Claim{claim("slot 0", "a", 5000), claim("slot 1", "b", 5000), claim("slot 2", "c", 5000)},
			`port 5000 is used twice: slot 0 "a" and slot 1 "b"` + "\n" +
				`port 5000 is used twice: slot 0 "a" and slot 2 "c"`,
		},
		{
			"in the order of the claims",
			[]Claim{claim("slot 1", "a", 9000), claim("slot 2", "a", 9000), claim("slot 1", "b", 2000), claim("slot 2", "b", 2000)},
			`port 9000 is used twice: slot 1 "a" and slot 2 "a"` + "\n" +
				`port 2000 is used twice: slot 1 "b" and slot 2 "b"`,
		},
		{"too low", []Claim{claim("slot 1", "api", 1023)}, `port 1023 of slot 1 "api" is not in 1024 to 65535`},
		{"too high", []Claim{claim("slot 1", "api", 65536)}, `port 65536 of slot 1 "api" is not in 1024 to 65535`},
		{"negative", []Claim{claim("slot 1", "api", -8001)}, `port -8001 of slot 1 "api" is not in 1024 to 65535`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := ""
			if err := Verify(test.claims); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, test.want)
			}
		})
	}
}

func TestVerifyTypes(t *testing.T) {
	a, b := Claim{Owner: "slot 1", Name: "a", Number: 70000}, Claim{Owner: "slot 2", Name: "b", Number: 70000}
	err := Verify([]Claim{a, b})
	if collision, ok := errors.AsType[*Collision](err); !ok || collision.A != a || collision.B != b {
		t.Errorf("the collision is %v", collision)
	}
	if outside, ok := errors.AsType[*OutOfRange](err); !ok || outside.Claim != a {
		t.Errorf("the violation of the range is %v", outside)
	}
}

func TestVerifyTellsTheFirstOfMany(t *testing.T) {
	var claims []Claim
	for i := range 20000 {
		claims = append(claims, Claim{Owner: fmt.Sprintf("slot %d", i), Name: "api", Number: 2000})
	}
	err := Verify(claims)
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != maxViolations+1 || lines[maxViolations] != "and 19989 more such violations" {
		t.Errorf("got %d lines, the last one %q", len(lines), lines[len(lines)-1])
	}
	if claims[0].Number != 2000 || claims[19999].Owner != "slot 19999" {
		t.Error("Verify has changed its claims")
	}
}
