// How pods behave: annotations of the pod, else of its namespace, else the defaults. They are read again all the time, so that a
// test can change them under a pod that waits.

package main

import (
	"fmt"
	"time"
)

// The annotations. A duration is written as Go does: 500ms, 2s.
const (
	annotation = "control-plane.deepdesk.com/"
	// start: how long a pod is ContainerCreating, or one of never (for good), pull (the image cannot be pulled) and
	// crash (each container ends with code 1 soon after it began).
	annotationStart = annotation + "start"
	// ready: how long from the start of its containers until a pod is Ready, or never. On a namespace it says so only for
	// pods that have not been Ready yet: a test wants its new pods to fail, and the old ones to go on.
	annotationReady = annotation + "ready"
	// terminate: how long a pod takes to end after its deletion; its grace period is the bound, as for a real one.
	annotationTerminate = annotation + "terminate"
	// run: how long the containers of a Job's pod run.
	annotationRun = annotation + "run"
)

// defaults are short, since tests wait for them, but never zero: what holds only where pods change at once shall not pass.
var defaults = map[string]string{
	annotationStart: "300ms", annotationReady: "200ms", annotationTerminate: "1s", annotationRun: "500ms",
}

// words are the values beside durations.
var words = map[string][]string{annotationStart: {"never", "pull", "crash"}, annotationReady: {"never"}}

// setting is a duration or a word.
type setting struct {
	word string
	time time.Duration
}

// settingOf looks name up in the maps of annotations, the first that has it wins. A value that cannot be read is an error, and
// the default is answered beside it.
func settingOf(name string, annotations ...map[string]string) (setting, error) {
	for _, one := range annotations {
		if text, there := one[name]; there {
			value, err := parseSetting(name, text)
			if err != nil {
				value, _ = parseSetting(name, defaults[name])
			}
			return value, err
		}
	}
	return parseSetting(name, defaults[name])
}

func parseSetting(name, text string) (setting, error) {
	for _, word := range words[name] {
		if text == word {
			// A pod that crashes begins as fast as any.
			value, _ := time.ParseDuration(defaults[name])
			return setting{word, value}, nil
		}
	}
	value, err := time.ParseDuration(text)
	if err != nil || value < 0 {
		return setting{}, fmt.Errorf("annotation %s: %q is neither a duration nor one of %q", name, text, words[name])
	}
	return setting{"", value}, nil
}
