// Child processes and the state directory: whatever ends the parent, nothing that it started or wrote outlives it.

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// children are the processes of one control plane. Each leads a process group of its own and is killed by the kernel when
// this process dies, whatever kills it.
type children struct {
	directory string
	// logs is where they write what they say.
	logs    string
	start   chan startRequest
	running []*child
	// died gets the first child that ended although nobody stopped it.
	died chan error
}

type child struct {
	name    string
	process *exec.Cmd
	ended   chan struct{}
}

type startRequest struct {
	process *exec.Cmd
	result  chan error
}

func newChildren(directory, logs string) *children {
	c := &children{directory: directory, logs: logs, start: make(chan startRequest), died: make(chan error, 1)}
	go func() {
		// The parent of Pdeathsig is a thread, not a process: all children come from one thread that never ends.
		runtime.LockOSThread()
		for request := range c.start {
			request.result <- request.process.Start()
		}
	}()
	return c
}

// run starts a program; what it says goes to NAME.log.
func (c *children) run(name string, environment []string, program string, arguments ...string) error {
	log, err := os.Create(filepath.Join(c.logs, name+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	process := exec.Command(program, arguments...)
	process.Dir = c.directory
	process.Env = append(os.Environ(), environment...)
	process.Stdout, process.Stderr = log, log
	process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := c.begin(process); err != nil {
		return fmt.Errorf("cannot start %s: %w", name, err)
	}
	one := &child{name: name, process: process, ended: make(chan struct{})}
	c.running = append(c.running, one)
	go func() {
		err := process.Wait()
		close(one.ended)
		select {
		case c.died <- fmt.Errorf("%s ended by itself: %v", name, err):
		default:
		}
	}()
	return nil
}

func (c *children) begin(process *exec.Cmd) error {
	result := make(chan error)
	c.start <- startRequest{process, result}
	return <-result
}

// await polls until done, a child's end, or the end of ctx.
func (c *children) await(ctx context.Context, otherwise string, done func() bool) error {
	for !done() {
		select {
		case err := <-c.died:
			return err
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", otherwise, context.Cause(ctx))
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

// stop kills all of them. What they know is thrown away, so none is asked to end nicely.
func (c *children) stop() {
	for _, one := range c.running {
		// The group may be gone already.
		_ = syscall.Kill(-one.process.Process.Pid, syscall.SIGKILL)
	}
	for _, one := range c.running {
		<-one.ended
	}
}

// stateName starts the name of every state directory.
const stateName = "control-plane-"

// newState makes a state directory, and removes those of control planes that were killed. A living one holds a lock on its own.
func newState() (string, *os.File, error) {
	old, err := filepath.Glob(filepath.Join(os.TempDir(), stateName+"*", "lock"))
	if err != nil {
		return "", nil, err
	}
	for _, path := range old {
		if lock, err := os.Open(path); err == nil {
			if lockNow(lock) == nil {
				_ = os.RemoveAll(filepath.Dir(path))
			}
			lock.Close()
		}
	}
	directory, err := os.MkdirTemp("", stateName)
	if err != nil {
		return "", nil, err
	}
	// Locked before it has the name that others look for.
	lock, err := os.Create(filepath.Join(directory, "unlocked"))
	if err == nil {
		err = lockNow(lock)
	}
	if err == nil {
		err = os.Rename(lock.Name(), filepath.Join(directory, "lock"))
	}
	return directory, lock, err
}

// logsOf makes the directory for the logs of a state directory: itself, or one of its name below CONTROL_PLANE_LOGS, where they
// stay whatever happens.
func logsOf(directory string) (string, error) {
	kept := os.Getenv("CONTROL_PLANE_LOGS")
	if kept == "" {
		return directory, nil
	}
	logs, err := filepath.Abs(filepath.Join(kept, filepath.Base(directory)))
	if err != nil {
		return "", err
	}
	return logs, os.MkdirAll(logs, 0o700)
}

func lockNow(file *os.File) error {
	return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}

// keepLogs leaves only the logs of a state directory behind, for whoever looks for the reason of a failure.
func keepLogs(directory string) {
	entries, _ := os.ReadDir(directory)
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".log") {
			_ = os.RemoveAll(filepath.Join(directory, entry.Name()))
		}
	}
}

// untilTold is done at SIGTERM or SIGHUP, when the parent process is gone, or at a SIGINT that isOurs.
func untilTold(isOurs func() bool) (context.Context, context.CancelFunc) {
	told, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGHUP)
	// Caught, not ignored: what is ignored stays so in a child.
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, syscall.SIGINT)
	go func() {
		for range interrupts {
			if isOurs() {
				cancel()
			}
		}
	}()
	parent := os.Getppid()
	go func() {
		// Not Pdeathsig: it fires when the *thread* that started us ends, and test runners end threads while they go on.
		for told.Err() == nil {
			if os.Getppid() != parent {
				cancel()
			}
			time.Sleep(250 * time.Millisecond)
		}
	}()
	return told, cancel
}
