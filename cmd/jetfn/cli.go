package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/alecthomas/kong"
	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"

	"github.com/jetfn/jetfn/internal/runtime"
)

// The exit codes.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitUnreachable = 4
	exitTimeout     = 5
	exitConflict    = 6
	exitInterrupted = 130
)

// console is what a command talks to.
type console struct {
	in       io.Reader
	out, err io.Writer
}

// printf writes for whoever reads; if nobody does, there is nobody to tell.
func printf(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }

// commandLine is all commands and their flags.
type commandLine struct {
	LogLevel string `default:"info" enum:"trace,debug,info,warn,error" help:"Least severity to log: ${enum}."`

	Run      runCommand      `cmd:"" help:"Run the modules in files."`
	Validate validateCommand `cmd:"" help:"Check module files."`
	Demo     demoCommand     `cmd:"" help:"Run a greeter and show what happens."`
	Send     sendCommand     `cmd:"" help:"Send a message to a function."`
	Call     callCommand     `cmd:"" help:"Call a function and print its answer."`
	State    stateCommand    `cmd:"" help:"Show and change what functions remember."`
	Fn       fnCommand       `cmd:"" help:"List, pause and resume functions."`
	Dlq      dlqCommand      `cmd:"" help:"Look at dead letters, replay and drop them."`
	Timers   timersCommand   `cmd:"" help:"List and cancel delayed messages."`
	Top      topCommand      `cmd:"" help:"Show what functions and partitions do."`
	Inspect  inspectCommand  `cmd:"" help:"Show all that is known of one address."`
	Tail     tailCommand     `cmd:"" help:"Show what happens from now on."`

	Partitions partitionsCommand `cmd:"" help:"List the partitions."`

	Module  moduleCommand  `cmd:"" help:"Show the module, change it, and go back."`
	Bench   benchCommand   `cmd:"" help:"Measure speed on this machine."`
	Version versionCommand `cmd:"" help:"Show the version."`

	Completion completionCommand `cmd:"" help:"Print what makes a shell complete commands."`

	BenchWorker   benchWorkerCommand   `cmd:"" hidden:"" help:"The worker of bench."`
	BenchFunction benchFunctionCommand `cmd:"" hidden:"" help:"The function of bench."`
}

// run carries out a command line and returns the exit code.
func run(ctx context.Context, args []string, c console) int {
	var line commandLine
	exited := -1
	parser, err := kong.New(&line,
		kong.Name("jetfn"),
		kong.Description("Stateful functions on NATS JetStream."),
		kong.UsageOnError(),
		kong.DefaultEnvars("JETFN"),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Writers(c.out, c.err),
		kong.Exit(func(code int) { exited = code }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(c),
	)
	if err != nil {
		return report(c, outputText, err)
	}
	addExamples(parser.Model)
	if len(args) > 0 && args[0] == completeCommand {
		complete(parser.Model, args[1:], c.out)
		return exitOK
	}
	settings, err := readSettings(settingsFile)
	if err != nil {
		return report(c, outputText, usage{err})
	}
	kong.Resolvers(settings).Apply(parser) //nolint:errcheck // it can't fail
	command, err := parser.Parse(args)
	switch {
	case exited >= 0: // --help
		return exited
	case err != nil:
		if wantsJSON(args) {
			writeProblem(c, usage{err})
		} else {
			printf(c.err, "jetfn: %v\nTry %s --help.\n", err, tried(err))
		}
		return exitUsage
	}
	if err := settings.check(parser.Model); err != nil {
		return report(c, outputText, usage{err})
	}
	return report(c, outputOf(command), command.Run(line.logger(c)))
}

// tried is the command that could not be understood, as far as it could.
func tried(err error) string {
	var parsing *kong.ParseError
	if errors.As(err, &parsing) && parsing.Context != nil && parsing.Context.Selected() != nil {
		return "jetfn " + commandName(parsing.Context.Selected())
	}
	return "jetfn"
}

// outputOf is how the chosen command writes.
func outputOf(command *kong.Context) output {
	for _, f := range command.Flags() {
		if o, ok := f.Target.Interface().(output); ok {
			return o
		}
	}
	return outputText
}

// logger writes for people on a terminal, JSON otherwise.
func (l *commandLine) logger(c console) zerolog.Logger {
	level, err := zerolog.ParseLevel(l.LogLevel)
	if err != nil {
		level = zerolog.InfoLevel
	}
	w := c.err
	if f, ok := c.err.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		w = zerolog.ConsoleWriter{Out: f, TimeFormat: time.TimeOnly}
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger()
}

// output is a format.
type output string

const (
	outputText output = "text"
	outputJSON output = "json"
)

// usage is an error of the command line.
type usage struct{ err error }

func (u usage) Error() string { return u.err.Error() }

func (u usage) Unwrap() error { return u.err }

// reported is a failure that has been told already.
type reported struct{ code int }

func (reported) Error() string { return "failed" }

// report tells an error and returns its exit code.
func report(c console, o output, err error) int {
	var told reported
	var answered *answerError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &told):
		return told.code
	case o == outputJSON && errors.As(err, &answered):
		printf(c.err, "%s\n", answered.document())
	case o == outputJSON:
		writeProblem(c, err)
	default:
		printf(c.err, "jetfn: %v\n", err)
	}
	return exitCode(err)
}

func exitCode(err error) int {
	var answered *answerError
	switch {
	case errors.As(err, &answered):
		return answered.exitCode()
	case errors.As(err, new(usage)), errors.Is(err, runtime.ErrUsage):
		return exitUsage
	case errors.Is(err, runtime.ErrInUse):
		return exitConflict
	case errors.Is(err, runtime.ErrUnreachable):
		return exitUnreachable
	case errors.Is(err, context.DeadlineExceeded):
		return exitTimeout
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	}
	return exitFailure
}
