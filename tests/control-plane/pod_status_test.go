package main

import (
	"fmt"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestStatus(t *testing.T) {
	always, never, onFailure := core.RestartPolicyAlways, core.RestartPolicyNever, core.RestartPolicyOnFailure
	start := func(v *view) { run(&v.main[0], "1", time.Now()) }
	for name, c := range map[string]struct {
		policy  core.RestartPolicy
		init    bool
		deleted bool
		do      func(v *view)
		want    string // phase, Initialized, Ready
	}{
		"new":           {always, false, false, func(*view) {}, "Pending True False"},
		"initializing":  {always, true, false, func(*view) {}, "Pending False False"},
		"initialized":   {always, true, false, func(v *view) { end(&v.init[0], 0, time.Now()) }, "Pending True False"},
		"init failed":   {never, true, false, func(v *view) { end(&v.init[0], 1, time.Now()) }, "Failed False False"},
		"running":       {always, false, false, start, "Running True False"},
		"ready":         {always, false, false, func(v *view) { start(v); v.main[0].Ready = true }, "Running True True"},
		"crashed":       {always, false, false, func(v *view) { start(v); end(&v.main[0], 1, time.Now()) }, "Running True False"},
		"backing off":   {always, false, false, func(v *view) { start(v); end(&v.main[0], 1, time.Now()); wait(&v.main[0], "CrashLoopBackOff", "") }, "Running True False"},
		"job done":      {never, false, false, func(v *view) { start(v); end(&v.main[0], 0, time.Now()) }, "Succeeded True False"},
		"job failed":    {never, false, false, func(v *view) { start(v); end(&v.main[0], 1, time.Now()) }, "Failed True False"},
		"job restarts":  {onFailure, false, false, func(v *view) { start(v); end(&v.main[0], 1, time.Now()) }, "Running True False"},
		"stopped":       {always, false, true, func(v *view) { start(v); end(&v.main[0], 0, time.Now()) }, "Succeeded True False"},
		"killed":        {always, false, true, func(v *view) { start(v); end(&v.main[0], 137, time.Now()) }, "Failed True False"},
		"no secret yet": {always, false, false, func(v *view) { wait(&v.main[0], "CreateContainerConfigError", "") }, "Pending True False"},
	} {
		pod := &core.Pod{Spec: core.PodSpec{RestartPolicy: c.policy, Containers: []core.Container{{Name: "c"}}}}
		if c.init {
			pod.Spec.InitContainers = []core.Container{{Name: "i"}}
		}
		if c.deleted {
			pod.DeletionTimestamp = &meta.Time{Time: time.Now()}
		}
		v := newView(pod)
		c.do(v)
		status := v.status(core.PodStatus{}, "10.244.0.2", time.Now())
		found := map[core.PodConditionType]core.ConditionStatus{}
		for _, condition := range status.Conditions {
			found[condition.Type] = condition.Status
		}
		if got := fmt.Sprint(status.Phase, " ", found[core.PodInitialized], " ", found[core.PodReady]); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestConditionsKeepTheirTime(t *testing.T) {
	v := newView(&core.Pod{Spec: core.PodSpec{Containers: []core.Container{{Name: "c"}}}})
	begun := time.Now().Add(-time.Hour)
	before := v.status(core.PodStatus{}, "", begun)
	run(&v.main[0], "1", time.Now())
	v.main[0].Ready = true
	after := v.status(before, "", time.Now())
	for _, condition := range after.Conditions {
		moved := !condition.LastTransitionTime.Time.Equal(begun)
		changes := condition.Type == core.PodReady || condition.Type == core.ContainersReady || condition.Type == core.PodReadyToStartContainers
		if moved != changes {
			t.Errorf("%s: %s", condition.Type, condition.LastTransitionTime)
		}
	}
}
