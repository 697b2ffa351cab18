package world

import "strings"

// decision says what becomes of a variable of the caller's environment in a child
// process.
type decision int

const (
	dropped decision = iota // the child doesn't get it
	passed                  // the child gets it
	locates                 // the same, and by it the child finds itself, its configuration or the Docker Engine
	set                     // the child gets a value of kinfra's own, whatever the caller has
)

// variable is a variable that a child process may read, or all whose names begin with
// what stands before a final *.
type variable struct {
	name     string
	decision decision
	why      string
}

// variables decides each variable that docker, Compose and what they consist of read. What
// isn't in here is dropped, too. The names are from the sources of docker/compose v2.40.3
// and of all that is linked into it (.ci/compose/go.mod pins the versions), of docker/cli
// v28.5.1 and docker/buildx v0.29.1 as a whole, and of Go 1.26. TestSources holds the table
// against them.
//
// A file .env of a project can set variables, too. Of those, Compose takes to heart as its own
// only COMPOSE_* (setEnvWithDotEnv in cmd/compose/compose.go), and DOCKER_DEFAULT_PLATFORM;
// docker and buildx get to see no other. Where what it says could reach further than the
// project, the reason below says what keeps it from that.
var variables = []variable{
	// Who and where.
	{"PATH", locates, "where programs are"},
	{"HOME", locates, "where the user's files are, those of docker among them"},
	{"XDG_CONFIG_HOME", locates, "where configuration is"},
	{"XDG_STATE_HOME", locates, "where kinfra's own state is"},
	{"XDG_RUNTIME_DIR", locates, "where sockets are"},
	{"SSH_AUTH_SOCK", locates, "git and docker over SSH"},
	{"USER", passed, "who"},
	{"LOGNAME", passed, "who"},
	{"TMPDIR", passed, "where temporary files go"},
	{"PWD", set, "where the project is, package stack: files say ${PWD}, and a caller may stand in another worktree"},

	// The network.
	{"HTTP_PROXY", passed, "an Engine behind a proxy; git"},
	{"HTTPS_PROXY", passed, "an Engine behind a proxy; git"},
	{"NO_PROXY", passed, "an Engine behind a proxy; git"},
	{"http_proxy", passed, "the other spelling"},
	{"https_proxy", passed, "the other spelling"},
	{"no_proxy", passed, "the other spelling"},
	{"ALL_PROXY", dropped, "only for SOCKS, which the Engine is not behind"},
	{"all_proxy", dropped, "the other spelling"},
	{"REQUEST_METHOD", dropped, "makes Go take itself for a CGI program"},
	{"SSL_CERT_FILE", dropped, "whom to trust; DOCKER_CERT_PATH says that of the Engine"},
	{"SSL_CERT_DIR", dropped, "whom to trust"},
	{"LOCALDOMAIN", dropped, "what names mean"},
	{"RES_OPTIONS", dropped, "what names mean"},
	{"HOSTALIASES", dropped, "what names mean"},
	{"ASR_CONFIG", dropped, "what names mean, on OpenBSD"},

	// What is printed.
	{"LANG", passed, "language"},
	{"LC_*", passed, "language"},
	{"TZ", passed, "times"},
	{"ZONEINFO", dropped, "where times are from"},
	{"NO_COLOR", dropped, "kinfra says by flags what is coloured"},
	{"CLICOLOR", dropped, "the same"},
	{"CLICOLOR_FORCE", dropped, "the same"},
	{"NORAW", dropped, "leaves the terminal as it is"},
	{"TERM", dropped, "only for the menu of an attached up"},
	{"TERMINFO", dropped, "only for the menu of an attached up"},
	{"TERMINFO_DIRS", dropped, "only for the menu of an attached up"},
	{"RUNEWIDTH_EASTASIAN", dropped, "widths of characters"},
	{"PROGRESS_NO_TRUNC", dropped, "how a build is shown"},
	{"TTY_DISPLAY_RATE", dropped, "how a build is shown"},
	{"DEBUG", dropped, "more output than what is read expects"},
	{"EDITOR", dropped, "a program of the caller's"},
	{"VISUAL", dropped, "a program of the caller's"},
	{"SHELL", dropped, "a program of the caller's"},

	// The docker command. Only what leads to the Engine and the configuration is passed: a
	// compose file may take a port from ${DOCKER_WEB_PORT}.
	{"DOCKER_HOST", locates, "the Engine"},
	{"DOCKER_CONTEXT", locates, "the Engine"},
	{"DOCKER_CONFIG", locates, "contexts, plugins and credentials"},
	{"DOCKER_CERT_PATH", locates, "the Engine's certificates"},
	{"DOCKER_TLS_VERIFY", locates, "whether the Engine is spoken to by TLS"},
	{"DOCKER_TLS", dropped, "kinfra's own calls to the Engine don't read it, and would go elsewhere"},
	{"DOCKER_API_VERSION", dropped, "it is negotiated"},
	{"DOCKER_CUSTOM_HEADERS", dropped, "what the Engine, or something before it, is told"},
	{"DOCKER_AUTH_CONFIG", dropped, "credentials, from which images come; pass_env can name it"},
	{"DOCKER_DEFAULT_PLATFORM", dropped, "which image is run; the project's .env can say it, as for Compose alone"},
	{"DOCKER_BUILDKIT", dropped, "how images are built"},
	{"DOCKER_CONTENT_TRUST", dropped, "from which images come"},
	{"DOCKER_CONTENT_TRUST_SERVER", dropped, "whose signatures count"},
	{"DOCKER_CONTENT_TRUST_ROOT_PASSPHRASE", dropped, "signing"},
	{"DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE", dropped, "signing"},
	{"DOCKER_CLI_HINTS", dropped, "advice in the output"},
	{"DOCKER_CLI_HOOKS", dropped, "plugins that add to the output"},
	{"DOCKER_CLI_DISABLE_COMPLETION_DESCRIPTION", dropped, "completion"},
	{"DOCKER_CLI_DISABLE_OAUTH_LOGIN", dropped, "docker login"},
	{"DOCKER_CLI_OTEL_EXPORTER_OTLP_ENDPOINT", dropped, "where traces are sent"},
	{"DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND", dropped, "which program docker is, to a plugin"},
	{"DOCKER_CLI_PLUGIN_SOCKET", dropped, "how docker and a plugin speak with each other"},
	{"DOCKER_CLI_PLUGIN_USE_DIAL_STDIO", dropped, "how a plugin speaks with the Engine"},
	{"DOCKER_COMPLETION_SHOW_CONTAINER_IDS", dropped, "completion"},
	{"DOCKER_COMPLETION_SHOW_NODE_IDS", dropped, "completion"},
	{"DOCKER_COMPLETION_SHOW_SERVICE_IDS", dropped, "completion"},
	{"DOCKER_ACTIVE_HELP", dropped, "completion"},
	{"COMPOSE_ACTIVE_HELP", dropped, "completion"},
	{"COBRA_ACTIVE_HELP", dropped, "completion"},
	{"BASH_COMP_DEBUG_FILE", dropped, "completion"},
	{"DOCKER_HIDE_LEGACY_COMMANDS", dropped, "help"},
	{"ROOTLESSKIT_STATE_DIR", dropped, "where certificates of registries are"},
	{"WSL_DISTRO_NAME", dropped, "paths of Windows"},

	// Compose. kinfra names the project, its directory, its files and its env files, which
	// goes before all of these, also where the project's .env has them.
	{"COMPOSE_PROJECT_NAME", dropped, "which project: --project-name is given"},
	{"COMPOSE_FILE", dropped, "which files: --file is given"},
	{"COMPOSE_PATH_SEPARATOR", dropped, "belongs to COMPOSE_FILE"},
	{"COMPOSE_ENV_FILES", dropped, "which env files: --env-file is given"},
	{"COMPOSE_DISABLE_ENV_FILE", dropped, "goes for the env file that is found where none is given"},
	{"COMPOSE_PROFILES", dropped, "which services; the slot's or the project's env file can say it"},
	{"COMPOSE_IGNORE_ORPHANS", set, "false, package stack: with another value Compose refuses up --remove-orphans"},
	{"COMPOSE_REMOVE_ORPHANS", dropped, "up and down say --remove-orphans"},
	{"COMPOSE_COMPATIBILITY", dropped, "names of containers and images; the project's .env can say it"},
	{"COMPOSE_CONVERT_WINDOWS_PATHS", dropped, "paths of Windows"},
	{"COMPOSE_PARALLEL_LIMIT", dropped, "how much is done at once; the project's .env can say it"},
	{"COMPOSE_BAKE", dropped, "how images are built; the project's .env can say it"},
	{"COMPOSE_ANSI", dropped, "--ansi is given where output is read"},
	{"COMPOSE_PROGRESS", dropped, "how progress is shown; read before an env file is"},
	{"COMPOSE_MENU", dropped, "a menu of an attached up"},
	{"COMPOSE_STATUS_STDOUT", dropped, "where progress is printed; what is read from the output stands it"},
	{"COMPOSE_EXPERIMENTAL", dropped, "features of Docker Desktop"},
	{"COMPOSE_EXPERIMENTAL_GIT_REMOTE", dropped, "whether a file may include one in git; the project's .env can say it"},
	{"COMPOSE_EXPERIMENTAL_OCI_REMOTE", dropped, "whether a file may include one in a registry; the project's .env can say it"},
	{"COMPOSE_EXPERIMENTAL_WATCH_TAR", dropped, "how watch copies"},
	{"COMPOSE_WATCH_WINDOWS_BUFFER_SIZE", dropped, "Windows"},
	{"XDG_CACHE_HOME", dropped, "a cache of remote includes; it is below HOME"},
	{"__TEST__INSECURE__REGISTRY__", dropped, "a test of Compose"},

	// Builds.
	{"BUILDX_BUILDER", dropped, "where images are built, and then are"},
	{"BUILDKIT_HOST", dropped, "where images are built"},
	{"BUILDX_CONFIG", dropped, "which builders there are"},
	{"BUILDX_BAKE_FILE", dropped, "what is built"},
	{"BUILDX_BAKE_PATH_SEPARATOR", dropped, "belongs to BUILDX_BAKE_FILE"},
	{"BUILDX_BAKE_ENTITLEMENTS_FS", dropped, "what a build may read"},
	{"BUILDX_BAKE_GIT_AUTH_HEADER", dropped, "credentials"},
	{"BUILDX_BAKE_GIT_AUTH_TOKEN", dropped, "credentials"},
	{"BUILDX_BAKE_GIT_SSH", dropped, "credentials"},
	{"BAKE_ALLOW_REMOTE_FS_ACCESS", dropped, "what a build may read"},
	{"BUILDX_EXPERIMENTAL", dropped, "which commands there are"},
	{"BUILDX_NO_DEFAULT_LOAD", dropped, "whether the Engine gets what is built"},
	{"BUILDX_SEND_GIT_QUERY_AS_INPUT", dropped, "how a context in git is named"},
	{"BUILDX_GIT_CHECK_DIRTY", dropped, "what an image says of itself"},
	{"BUILDX_GIT_INFO", dropped, "what an image says of itself"},
	{"BUILDX_GIT_LABELS", dropped, "what an image says of itself"},
	{"BUILDX_METADATA_PROVENANCE", dropped, "what a build says of itself"},
	{"BUILDX_METADATA_WARNINGS", dropped, "what a build says of itself"},
	{"BUILDX_NO_DEFAULT_ATTESTATIONS", dropped, "what an image says of itself"},
	{"BUILDX_CPU_PROFILE", dropped, "debugging"},
	{"BUILDX_MEM_PROFILE", dropped, "debugging"},
	{"BUILDKIT_COLORS", dropped, "how a build is shown"},
	{"BUILDKIT_PROGRESS", dropped, "how a build is shown"},
	{"BUILDKIT_TTY_LOG_LINES", dropped, "how a build is shown"},
	{"BUILDKIT_DEBUG_PANIC_ON_ERROR", dropped, "debugging"},
	{"BUILDKIT_NO_CLIENT_TOKEN", dropped, "who asks registries for tokens"},
	{"BUILDKIT_SYNTAX", dropped, "the program that reads a Dockerfile"},
	{"EXPERIMENTAL_BUILDKIT_SOURCE_POLICY", dropped, "from which images builds are made"},
	{"SOURCE_DATE_EPOCH", dropped, "times in an image"},
	{"XDG_DATA_HOME", dropped, "where a BuildKit of the user's own keeps its data"},
	{"SUDO_*", dropped, "to whom files of builders are given"},
	{"MOBY_DISABLE_PIGZ", dropped, "which program unpacks"},
	{"CONTAINERD_*", dropped, "which program unpacks, and whose images"},
	{"ACTIONS_*", dropped, "a build cache elsewhere"},
	{"AWS_*", dropped, "a build cache elsewhere"},
	{"_X_AMZN_TRACE_ID", dropped, "a build cache elsewhere"},
	{"KUBECONFIG", dropped, "builders elsewhere"},
	{"KUBE_*", dropped, "builders elsewhere"},
	{"KUBERNETES_*", dropped, "builders elsewhere"},
	{"POD_NAMESPACE", dropped, "builders elsewhere"},

	// Libraries, and Go.
	{"OTEL_*", dropped, "where traces are sent"},
	{"TRACEPARENT", dropped, "to which trace it belongs"},
	{"TRACESTATE", dropped, "to which trace it belongs"},
	{"BAGGAGE", dropped, "to which trace it belongs"},
	{"GRPC_*", dropped, "logs, and where configuration is"},
	{"GOLANG_PROTOBUF_REGISTRATION_CONFLICT", dropped, "debugging"},
	{"GOPROTODEBUG", dropped, "debugging"},
	{"DEBUG_HTTP2_GOROUTINES", dropped, "debugging"},
	{"DISABLE_HTTP2", dropped, "Kubernetes"},
	{"HTTP2_*", dropped, "Kubernetes"},
	{"HOMEDRIVE", dropped, "Windows"},
	{"HOMEPATH", dropped, "Windows"},
	{"USERPROFILE", dropped, "Windows"},
	{"GODEBUG", dropped, "how Go works"},
	{"GOGC", dropped, "how Go works"},
	{"GOMAXPROCS", dropped, "how Go works"},
	{"GOMEMLIMIT", dropped, "how Go works"},
	{"GOTRACEBACK", dropped, "how Go works"},
	{"GOPATH", dropped, "where Go's sources are"},
	{"GOROOT", dropped, "where Go's sources are"},
	{"GOTMPDIR", dropped, "where Go's tests write"},
}

// decide says what becomes of a variable.
func decide(name string) decision {
	for _, v := range variables {
		if v.covers(name) {
			return v.decision
		}
	}
	return dropped
}

func (v variable) covers(name string) bool {
	prefix, many := strings.CutSuffix(v.name, "*")
	return name == v.name || many && strings.HasPrefix(name, prefix)
}

// Locates tells whether child processes find themselves, their configuration or the
// Docker Engine by a variable of the caller's, so that nothing else may set it.
func Locates(name string) bool { return decide(name) == locates }
