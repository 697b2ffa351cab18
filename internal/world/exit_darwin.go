package world

// awaitExit returns at once: here the system isn't asked.
func awaitExit(int) {}
