package lint

// The rules, by the names that findings carry.
const (
	ruleSyntax         = "syntax"
	ruleLanguage       = "language"
	ruleUnknownName    = "unknown-name"
	ruleAttribute      = "unknown-attribute"
	ruleLoad           = "load"
	ruleLoadCycle      = "load-cycle"
	ruleLoadName       = "load-name"
	ruleUnusedLoad     = "unused-load"
	ruleUnusedVariable = "unused-variable"
	ruleArguments      = "arguments"
	ruleArgumentType   = "argument-type"
	ruleStepName       = "step-name"
	ruleCapture        = "captured-loop-variable"
	ruleChange         = "change-outside-step"
	ruleLoading        = "change-while-loading"
	ruleWorkflow       = "workflow"
	ruleHelp           = "workflow-help"
	ruleRecursion      = "recursion"
	ruleUnreachable    = "unreachable"
	ruleKey            = "duplicate-key"
	ruleFormat         = "format"
	ruleNoEffect       = "no-effect"
	ruleIgnore         = "ignore"
)

// Rule is a kind of fault.
type Rule struct {
	Name string
	Doc  string // what it finds: a phrase
}

// Rules is all rules, in the order of the documentation.
func Rules() []Rule {
	return []Rule{
		{ruleSyntax, "text that doesn't parse; all of it that can be found, not only the first"},
		{ruleLanguage, "what parses, but isn't allowed: a global assigned twice, `if` outside of a function, `break` outside of a loop"},
		{ruleUnknownName, "a name that nothing defines, with the nearest known one"},
		{ruleAttribute, "an attribute that a module lacks, or a struct whose attributes are known, with the nearest"},
		{ruleLoad, "a load of a file that isn't there, or that can't be loaded itself"},
		{ruleLoadCycle, "files that load each other, with the whole chain"},
		{ruleLoadName, "a name that the loaded file lacks, only loads itself, or keeps private (`_name`)"},
		{ruleUnusedLoad, "a loaded name that is never used; a file can't pass it on"},
		{ruleUnusedVariable, "a variable or local function that is never used, or a private one (`_name`) of the file; within functions, `_name` says that this is meant"},
		{ruleArguments, "arguments that a builtin or a function of the scripts doesn't take, and those that are missing"},
		{ruleArgumentType, "an argument that is sure to be of a wrong type, and a function that can't be called as the builtin calls it"},
		{ruleStepName, "a step or check whose name is used by another that runs in the same call, or again in each turn of a loop"},
		{ruleCapture, "an `undo`, or a function given to `on_exit`, with a variable of a loop in it: when it is called, that has its last value"},
		{ruleChange, "a change outside of steps in a workflow that has steps, in helpers, too: going on with the run later would do it again"},
		{ruleLoading, "a change, step, check or question at the top level of a file that declares a workflow: while a file loads, nothing may change, and nothing is asked"},
		{ruleWorkflow, "a workflow that can't be found without running its file, whose command is declared twice, in the file or by two of a layer, or that takes a name of kinfra's own for its command or a flag"},
		{ruleHelp, "a workflow whose file has no docstring, which is its help"},
		{ruleRecursion, "a function that calls itself, directly or through others, which Starlark refuses"},
		{ruleUnreachable, "statements behind a `return`, `fail`, `break` or `continue`"},
		{ruleKey, "a dict with a key twice"},
		{ruleFormat, "a text with more or fewer conversions (`%s`) than values, or with one that there is not"},
		{ruleNoEffect, "a statement whose value is dropped: a comparison, a name, a function that isn't called"},
		{ruleIgnore, "a comment that suppresses findings without saying why, of an unknown rule, or where there are none"},
	}
}
