package claim

import (
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ktrdr/kinfra/internal/registry"
)

// The keys of a line. It is written and read by hand, since encoding/json takes
// longer to find out about its types than a claim has.
const (
	keyVersion  = "version" // of the first line; no other has it
	keyClaims   = "claims"
	keyReleased = "released"
	keyVolumes  = "volumes"
	keyMade     = "made" // since version 2

	keySlot      = "slot"
	keyWorktree  = "worktree"
	keyClaimedAt = "claimed_at"
	keyToken     = "token"
	keyEnv       = "env"
	keyLease     = "lease"
	keyOrigin    = "origin" // since version 2

	keyTTL      = "ttl"
	keyBoot     = "boot"
	keyDeadline = "deadline"

	keyGitDir = "git_dir"
	keyParent = "parent"
)

// json is a line's object; a version of 0 is left out, and so is what is empty.
func (f facts) json(version int) []byte {
	dst := []byte{'{'}
	if version > 0 {
		dst = strconv.AppendInt(appendKey(dst, keyVersion), int64(version), 10)
	}
	if len(f.Claims) > 0 {
		dst = appendBySlot(appendKey(dst, keyClaims), f.Claims, appendRecord)
	}
	if len(f.Released) > 0 {
		dst = append(appendKey(dst, keyReleased), '[')
		for i, r := range f.Released {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendReleased(dst, r)
		}
		dst = append(dst, ']')
	}
	if len(f.Volumes) > 0 {
		dst = appendBySlot(appendKey(dst, keyVolumes), f.Volumes, gjson.AppendJSONString)
	}
	if len(f.Made) > 0 {
		dst = appendBySlot(appendKey(dst, keyMade), f.Made, appendMade)
	}
	return append(dst, '}')
}

// appendKey appends the key of an object's next member.
func appendKey(dst []byte, key string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	return append(gjson.AppendJSONString(dst, key), ':')
}

func appendText(dst []byte, key, value string) []byte {
	return gjson.AppendJSONString(appendKey(dst, key), value)
}

// appendBySlot appends an object of what each slot has.
func appendBySlot[V any](dst []byte, all map[int]V, appendValue func([]byte, V) []byte) []byte {
	dst = append(dst, '{')
	for _, id := range slices.Sorted(maps.Keys(all)) {
		dst = appendValue(appendKey(dst, strconv.Itoa(id)), all[id])
	}
	return append(dst, '}')
}

func appendRecord(dst []byte, r *record) []byte {
	if r == nil {
		return append(dst, "null"...)
	}
	dst = appendText(append(dst, '{'), keyWorktree, r.Worktree)
	dst = appendText(dst, keyClaimedAt, r.ClaimedAt)
	dst = appendText(dst, keyToken, r.Token)
	dst = appendText(dst, keyEnv, r.Env)
	if r.Lease != (lease{}) {
		dst = append(appendKey(dst, keyLease), '{')
		dst = appendText(dst, keyTTL, r.Lease.TTL.String())
		dst = appendText(dst, keyBoot, r.Lease.Boot)
		dst = append(appendText(dst, keyDeadline, r.Lease.Deadline.String()), '}')
	}
	switch o := r.Origin; {
	case o.GitDir != "":
		dst = append(appendText(append(appendKey(dst, keyOrigin), '{'), keyGitDir, o.GitDir), '}')
	case o.Parent != 0:
		dst = append(appendKey(dst, keyOrigin), '{')
		dst = append(strconv.AppendUint(appendKey(dst, keyParent), o.Parent, 10), '}')
	}
	return append(dst, '}')
}

func appendMade(dst []byte, made Volumes) []byte {
	dst = append(dst, '{')
	for _, name := range slices.Sorted(maps.Keys(made)) {
		dst = appendText(dst, name, made[name])
	}
	return append(dst, '}')
}

func appendReleased(dst []byte, r released) []byte {
	dst = strconv.AppendInt(appendKey(append(dst, '{'), keySlot), int64(r.Slot), 10)
	dst = appendText(dst, keyWorktree, r.Worktree)
	return append(appendText(dst, keyClaimedAt, r.ClaimedAt), '}')
}

// lasts tells whether what a line says was made durable before it was acknowledged.
func lasts(text string) bool {
	line := gjson.Parse(text)
	if line.Get(keyReleased).Exists() || line.Get(keyVolumes).Exists() || line.Get(keyMade).Exists() {
		return true
	}
	lasting := false
	line.Get(keyClaims).ForEach(func(_, claim gjson.Result) bool {
		lasting = claim.Type == gjson.Null || claim.Get(keyLease).Exists()
		return !lasting
	})
	return lasting
}

// readLine adds what a line's object says. It refuses what json doesn't write.
func (f *facts) readLine(text string, first bool) error {
	if registry.TooDeep(text, logDepth) >= 0 {
		return fmt.Errorf("nested deeper than %d levels", logDepth)
	}
	if !gjson.Valid(text) {
		return errors.New("not JSON")
	}
	line := gjson.Parse(text)
	if v := line.Get(keyVersion); first && v.Raw != "1" && v.Raw != strconv.Itoa(logVersion) {
		return fmt.Errorf("version %q, want 1 to %d (a newer kinfra may have written it)", v.Raw, logVersion)
	}
	return readObject(line, func(key string, v gjson.Result) error {
		switch {
		case key == keyVersion && first:
			return nil
		case key == keyClaims:
			return readBySlot(v, f.setClaim, readRecord)
		case key == keyReleased:
			return f.readReleased(v)
		case key == keyVolumes:
			return readBySlot(v, f.setVolumes, readText)
		case key == keyMade:
			return readBySlot(v, f.setMade, readMade)
		}
		return errUnknownKey
	})
}

var errUnknownKey = errors.New("unknown key")

// readObject calls read for each member of an object.
func readObject(v gjson.Result, read func(key string, v gjson.Result) error) (err error) {
	if !v.IsObject() {
		return fmt.Errorf("want an object, got %s", v.Type)
	}
	v.ForEach(func(key, value gjson.Result) bool {
		if err = read(key.Str, value); err != nil {
			err = fmt.Errorf("%s: %w", key.Str, err)
		}
		return err == nil
	})
	return err
}

// readBySlot reads an object of what each slot has.
func readBySlot[V any](v gjson.Result, set func(id int, value V), read func(gjson.Result) (V, error)) error {
	return readObject(v, func(key string, v gjson.Result) error {
		id, err := readSlot(key)
		if err != nil {
			return err
		}
		value, err := read(v)
		if err != nil {
			return err
		}
		set(id, value)
		return nil
	})
}

// readSlot reads a slot's number.
func readSlot(text string) (int, error) {
	id, err := strconv.Atoi(text)
	if err != nil || id < 1 || id > registry.MaxSlot || strconv.Itoa(id) != text {
		return 0, fmt.Errorf("slot %s, want 1 to %d", text, registry.MaxSlot)
	}
	return id, nil
}

func readText(v gjson.Result) (string, error) {
	if v.Type != gjson.String {
		return "", fmt.Errorf("want a string, got %s", v.Type)
	}
	return v.Str, nil
}

func readDuration(v gjson.Result) (time.Duration, error) {
	text, err := readText(v)
	if err != nil {
		return 0, err
	}
	return time.ParseDuration(text)
}

// readRecord reads a claim; null is nil, one that has ended.
func readRecord(v gjson.Result) (*record, error) {
	if v.Type == gjson.Null {
		return nil, nil
	}
	r := &record{}
	err := readObject(v, func(key string, v gjson.Result) (err error) {
		switch key {
		case keyWorktree:
			r.Worktree, err = readText(v)
		case keyClaimedAt:
			r.ClaimedAt, err = readText(v)
		case keyToken:
			r.Token, err = readText(v)
		case keyEnv:
			r.Env, err = readText(v)
		case keyLease:
			r.Lease, err = readLease(v)
		case keyOrigin:
			r.Origin, err = readOrigin(v)
		default:
			err = errUnknownKey
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case r.Worktree == "":
		return nil, errors.New("it has no worktree")
	case !isHex(r.Token, tokenSize):
		return nil, fmt.Errorf("it has the token %q, want %d hexadecimal digits", r.Token, 2*tokenSize)
	}
	return r, nil
}

// readMade reads volumes that were made for a slot.
func readMade(v gjson.Result) (Volumes, error) {
	made := Volumes{}
	return made, readObject(v, func(key string, v gjson.Result) (err error) {
		made[key], err = readText(v)
		return err
	})
}

func readLease(v gjson.Result) (l lease, err error) {
	err = readObject(v, func(key string, v gjson.Result) (err error) {
		switch key {
		case keyTTL:
			l.TTL, err = readDuration(v)
		case keyBoot:
			l.Boot, err = readText(v)
		case keyDeadline:
			l.Deadline, err = readDuration(v)
		default:
			err = errUnknownKey
		}
		return err
	})
	if err == nil && (l.TTL <= 0 || l.TTL > maxTime || l.Deadline < 0) {
		err = fmt.Errorf("impossible: of %s, over %s after the start", l.TTL, l.Deadline)
	}
	return l, err
}

func readOrigin(v gjson.Result) (o origin, err error) {
	err = readObject(v, func(key string, v gjson.Result) (err error) {
		switch key {
		case keyGitDir:
			o.GitDir, err = readText(v)
		case keyParent:
			o.Parent, err = strconv.ParseUint(v.Raw, 10, 64)
		default:
			err = errUnknownKey
		}
		return err
	})
	if err == nil && (o.GitDir == "") == (o.Parent == 0) {
		err = errors.New("it names not one of the two that it can")
	}
	return o, err
}

// isOld tells whether the first line of a log has the form of an earlier version.
func isOld(text string) bool { return gjson.Get(text, keyVersion).Int() < logVersion }

// readReleased reads a list of releases.
func (f *facts) readReleased(v gjson.Result) error {
	if !v.IsArray() {
		return fmt.Errorf("want a list, got %s", v.Type)
	}
	for _, item := range v.Array() {
		var r released
		err := readObject(item, func(key string, v gjson.Result) (err error) {
			switch key {
			case keySlot:
				r.Slot, err = readSlot(v.Raw)
			case keyWorktree:
				r.Worktree, err = readText(v)
			case keyClaimedAt:
				r.ClaimedAt, err = readText(v)
			default:
				err = errUnknownKey
			}
			return err
		})
		if err != nil {
			return err
		}
		if r.Slot == 0 {
			return errors.New("a release has no slot")
		}
		f.addReleased(r)
	}
	return nil
}

func isHex(text string, size int) bool {
	raw, err := hex.DecodeString(text)
	return err == nil && len(raw) == size
}
