// Command empty prints one word: what any Go program costs as a whole process. The
// promises of speed are ratios to it.
package main

import "os"

func main() { os.Stdout.WriteString("hello\n") }
