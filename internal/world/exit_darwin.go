package world

// awaitExit returns at once: the system can't tell.
func awaitExit(int) {}
