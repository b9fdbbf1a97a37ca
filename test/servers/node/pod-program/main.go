// What test pods run, and the process 1 of pods and of the node: one static program, so that no image has to be fetched.
//
//	pod-program pause          waits for SIGTERM or SIGINT and reaps
//	pod-program init           reaps for ever
//	pod-program lines FLAGS    writes numbered lines into a file, as applications write logs
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Lines are written this often; the rate is met on average.
const tick = 20 * time.Millisecond

// Between two lines of those that follow slowly.
const slowTick = 200 * time.Millisecond

func main() {
	mode := ""
	if len(os.Args) > 1 {
		mode = os.Args[1]
	}
	switch mode {
	case "pause":
		wait(syscall.SIGTERM, syscall.SIGINT)
	case "init":
		wait()
	case "lines":
		lines(os.Args[2:])
	default:
		fmt.Fprintf(os.Stderr, "pod-program: expected pause, init or lines, got %q\n", mode)
		os.Exit(2)
	}
}

// wait reaps children until one of the signals comes; without signals for ever.
func wait(ends ...os.Signal) {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, append(ends, syscall.SIGCHLD)...)
	for received := range signals {
		if received != syscall.SIGCHLD {
			return
		}
		for {
			pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			if err != nil || pid <= 0 {
				break
			}
		}
	}
}

func lines(args []string) {
	flags := flag.NewFlagSet("lines", flag.ExitOnError)
	path := flags.String("file", "", "file to append to; - is standard output")
	name := flags.String("name", os.Getenv("HOSTNAME"), "begins each line")
	count := flags.Int("count", 1, "lines in all")
	rate := flags.Int("rate", 1000, "lines a second; 0 writes all at once")
	bytes := flags.Int("bytes", 100, "bytes of a line")
	then := flags.Int("then", 0, "lines that follow those, five a second")
	linger := flags.Int("linger", 0, "seconds between the last line and the end; -1 stays until SIGTERM")
	farewell := flags.Int("farewell", 0, "lines that are written after SIGTERM")
	rotate := flags.Int("rotate", 0, "lines after which the file is renamed to FILE.1, FILE.2 and so on; none is deleted")
	code := flags.Int("exit", 0, "exit code")
	_ = flags.Parse(args)

	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	// A container that was started again goes on: its lines are one sequence, whatever the runtime did to it.
	written := before(*path) / *bytes
	out := open(*path)
	began := written
	write := func(n int) {
		for i := 0; i < n; i++ {
			if *rotate > 0 && written > began && written%*rotate == 0 {
				out.close()
				check(os.Rename(*path, fmt.Sprintf("%s.%d", *path, written / *rotate)))
				out = open(*path)
			}
			line := fmt.Sprintf("%s line %08d ", *name, written)
			line += strings.Repeat("x", max(0, *bytes-len(line)-1))
			_, err := out.buffer.WriteString(line + "\n")
			check(err)
			written++
		}
		check(out.buffer.Flush())
	}
	begin := time.Now()
	terminated := false
	for written < *count && !terminated {
		due := *count
		if *rate > 0 {
			due = min(*count, began+int(time.Since(begin).Seconds()*float64(*rate))+1)
		}
		write(due - written)
		if written < *count {
			select {
			case <-ended:
				terminated = true
			case <-time.After(tick):
			}
		}
	}
	for i := 0; i < *then && !terminated; i++ {
		select {
		case <-ended:
			terminated = true
		case <-time.After(slowTick):
			write(1)
		}
	}
	if !terminated && *linger != 0 {
		stay := time.Duration(*linger) * time.Second
		if *linger < 0 {
			stay = 1<<63 - 1
		}
		select {
		case <-ended:
		case <-time.After(stay):
		}
	}
	write(min(*farewell, max(0, *count+*then+*farewell-written)))
	out.close()
	os.Exit(*code)
}

// before gives the bytes that earlier starts wrote into the file and what it was renamed to.
func before(path string) int {
	total := 0
	names, err := filepath.Glob(path + "*")
	check(err)
	for _, name := range names {
		if info, err := os.Stat(name); err == nil && path != "-" {
			total += int(info.Size())
		}
	}
	return total
}

type output struct {
	file   *os.File
	buffer *bufio.Writer
}

func open(path string) output {
	if path == "-" {
		return output{os.Stdout, bufio.NewWriter(os.Stdout)}
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	check(err)
	return output{file, bufio.NewWriter(file)}
}

func (o output) close() {
	check(o.buffer.Flush())
	check(o.file.Close())
}

func check(err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "pod-program: %v\n", err)
		os.Exit(1)
	}
}
