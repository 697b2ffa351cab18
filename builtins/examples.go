package builtins

// ExampleMachine tells what the examples of the builtins see, for their readers.
const ExampleMachine = `Each example sees a machine of its own in memory. The pool of pool.star has the slots 1 and 2 of
the profile small and 3 of the profile big, with the ports web and metrics; all three are
there, and free. The working directory is the git worktree /home/user/tree, with a file
notes.txt. Docker runs, and git and kinfra are there.`
