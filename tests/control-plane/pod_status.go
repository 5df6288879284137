// A pod's status as a kubelet writes it: phase, conditions and the states of its containers. Pure but for the clock that is passed.

package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// view is all that a status is made of.
type view struct {
	pod *core.Pod
	// init and main are the containers' statuses, in the order of the spec.
	init, main []core.ContainerStatus
	started    *meta.Time
}

// newView has every container waiting.
func newView(pod *core.Pod) *view {
	v := &view{pod: pod}
	reason := "ContainerCreating"
	if len(pod.Spec.InitContainers) > 0 {
		reason = "PodInitializing"
	}
	for _, container := range pod.Spec.InitContainers {
		v.init = append(v.init, waiting(container, "PodInitializing", ""))
	}
	for _, container := range pod.Spec.Containers {
		v.main = append(v.main, waiting(container, reason, ""))
	}
	return v
}

func waiting(container core.Container, reason, message string) core.ContainerStatus {
	no := false
	return core.ContainerStatus{
		Name: container.Name, Image: container.Image, Started: &no,
		State: core.ContainerState{Waiting: &core.ContainerStateWaiting{Reason: reason, Message: message}},
	}
}

// wait puts a container into Waiting; what it was before moves to its last state if it had ended.
func wait(status *core.ContainerStatus, reason, message string) {
	if status.State.Terminated != nil {
		status.LastTerminationState = status.State
	}
	no := false
	status.Ready, status.Started = false, &no
	status.State = core.ContainerState{Waiting: &core.ContainerStateWaiting{Reason: reason, Message: message}}
}

// run puts a container into Running.
func run(status *core.ContainerStatus, id string, now time.Time) {
	yes := true
	if status.State.Terminated != nil {
		status.LastTerminationState = status.State
	}
	status.Started, status.ContainerID, status.ImageID = &yes, id, "docker-pullable://"+status.Image
	status.State = core.ContainerState{Running: &core.ContainerStateRunning{StartedAt: meta.NewTime(now)}}
}

// end puts a running container into Terminated.
func end(status *core.ContainerStatus, code int32, now time.Time) {
	ended := &core.ContainerStateTerminated{
		ExitCode: code, Reason: "Completed", FinishedAt: meta.NewTime(now), ContainerID: status.ContainerID,
	}
	if code != 0 {
		ended.Reason = "Error"
	}
	if status.State.Running != nil {
		ended.StartedAt = status.State.Running.StartedAt
	}
	no := false
	status.Ready, status.Started = false, &no
	status.State = core.ContainerState{Terminated: ended}
}

// status puts it together; before is the status that it follows, for the times of the conditions.
func (v *view) status(before core.PodStatus, ip string, now time.Time) core.PodStatus {
	after := *before.DeepCopy()
	after.ObservedGeneration = v.pod.Generation
	after.Phase = v.phase()
	after.StartTime = v.started
	after.HostIP, after.HostIPs = "127.0.0.1", []core.HostIP{{IP: "127.0.0.1"}}
	after.QOSClass = before.QOSClass
	begun := v.begun()
	if begun {
		after.PodIP, after.PodIPs = ip, []core.PodIP{{IP: ip}}
	}
	after.InitContainerStatuses = slices.Clone(v.init)
	after.ContainerStatuses = slices.Clone(v.main)

	var unready, unfinished []string
	for _, status := range v.main {
		if !status.Ready {
			unready = append(unready, status.Name)
		}
	}
	for i, status := range v.init {
		if !initialized(v.pod.Spec.InitContainers[i], status) {
			unfinished = append(unfinished, status.Name)
		}
	}
	var reason, message string
	switch {
	case after.Phase == core.PodSucceeded:
		reason = "PodCompleted"
		unready = []string{""}
	case after.Phase == core.PodFailed:
		reason = "PodFailed"
	case len(unready) > 0:
		reason, message = "ContainersNotReady", fmt.Sprintf("containers with unready status: [%s]", strings.Join(unready, " "))
	}
	ready := len(unready) == 0 && after.Phase == core.PodRunning
	set := func(kind core.PodConditionType, holds bool, reason, message string) {
		if holds {
			reason, message = "", ""
		}
		setCondition(&after, v.pod.Generation, kind, holds, reason, message, now)
	}
	set(core.PodReadyToStartContainers, begun && !isTerminal(after.Phase), "", "")
	if len(unfinished) > 0 {
		set(core.PodInitialized, false, "ContainersNotInitialized",
			fmt.Sprintf("containers with incomplete status: [%s]", strings.Join(unfinished, " ")))
	} else {
		set(core.PodInitialized, true, "", "")
	}
	set(core.PodReady, ready, reason, message)
	set(core.ContainersReady, ready, reason, message)
	return after
}

// begun says whether any container has ever run.
func (v *view) begun() bool {
	for _, status := range append(slices.Clone(v.init), v.main...) {
		if status.State.Waiting == nil || status.RestartCount > 0 {
			return true
		}
	}
	return false
}

// phase follows the kubelet's getPhase.
func (v *view) phase() core.PodPhase {
	for i, status := range v.init {
		if status.State.Terminated != nil && status.State.Terminated.ExitCode != 0 &&
			v.pod.Spec.RestartPolicy == core.RestartPolicyNever {
			return core.PodFailed
		}
		if !initialized(v.pod.Spec.InitContainers[i], status) {
			return core.PodPending
		}
	}
	ended, failed := 0, 0
	for _, status := range v.main {
		switch {
		case status.State.Terminated != nil:
			ended++
			if status.State.Terminated.ExitCode != 0 {
				failed++
			}
		case status.State.Waiting != nil && status.LastTerminationState.Terminated == nil:
			return core.PodPending
		}
	}
	switch policy := v.pod.Spec.RestartPolicy; {
	case ended < len(v.main) || policy == core.RestartPolicyAlways && v.pod.DeletionTimestamp == nil:
		return core.PodRunning
	case failed == 0:
		return core.PodSucceeded
	case policy == core.RestartPolicyOnFailure && v.pod.DeletionTimestamp == nil:
		return core.PodRunning
	}
	return core.PodFailed
}

// initialized says whether an init container lets the next one begin.
func initialized(container core.Container, status core.ContainerStatus) bool {
	if isSidecar(container) {
		return status.Started != nil && *status.Started
	}
	return status.State.Terminated != nil && status.State.Terminated.ExitCode == 0
}

// isSidecar says whether an init container goes on running.
func isSidecar(container core.Container) bool {
	return container.RestartPolicy != nil && *container.RestartPolicy == core.ContainerRestartPolicyAlways
}

func isTerminal(phase core.PodPhase) bool {
	return phase == core.PodSucceeded || phase == core.PodFailed
}

// setCondition keeps the time of a condition that did not change.
func setCondition(status *core.PodStatus, generation int64, kind core.PodConditionType, holds bool, reason, message string, now time.Time) {
	value := core.ConditionFalse
	if holds {
		value = core.ConditionTrue
	}
	new := core.PodCondition{
		Type: kind, Status: value, Reason: reason, Message: message, LastTransitionTime: meta.NewTime(now), ObservedGeneration: generation,
	}
	for i, old := range status.Conditions {
		if old.Type == kind {
			if old.Status == value {
				new.LastTransitionTime = old.LastTransitionTime
			}
			status.Conditions[i] = new
			return
		}
	}
	status.Conditions = append(status.Conditions, new)
}
