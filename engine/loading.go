package engine

import "errors"

// ErrLoading is why a change is refused while a file is loading.
var ErrLoading = errors.New("a file that is loading only reads: do this in the function that the workflow runs")
