package world

// FilesOnly is the world w for what may only read: files, the environment and the
// clock are those of w. Whatever changes a file, starts a process, reaches for a socket
// or waits is refused with an error that wraps refusal, also what is marked ReadOnly.
func FilesOnly(w World, refusal error) World {
	return Faulty(w, func(op, _ string) error {
		switch op {
		case opRead, opLstat, opReadDir, opReadLink:
			return nil
		}
		return refusal
	})
}
