// The life of one pod on our node, from its binding until it is gone: created, mounted, initialized, serving, terminating.

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	statuses "k8s.io/kubernetes/pkg/util/pod"
)

const (
	// How often a pod looks at its deletion and its annotations.
	tick = 25 * time.Millisecond
	// How long a kubelet waits before it tries again for a Secret that is missing; a real one waits longer.
	retry = 500 * time.Millisecond
	// What a container that is meant to crash lives for, and how long it then backs off: at first, and at most.
	crashAfter, backOffFirst, backOffMost = 200 * time.Millisecond, time.Second, 16 * time.Second
	// How long an init container works.
	initTakes = 50 * time.Millisecond
)

// life is one pod's. Its methods run one after another; each answers false when the pod is to end, or is gone.
type life struct {
	*kubelet
	ctx       context.Context
	pod       *core.Pod
	ip        string
	view      *view
	published core.PodStatus
	volumes   map[string][]held
	everReady bool
	warned    map[string]bool
}

func (k *kubelet) live(ctx context.Context, pod *core.Pod, ip string) {
	l := &life{kubelet: k, ctx: ctx, pod: pod, ip: ip, view: newView(pod), published: pod.Status, warned: map[string]bool{}}
	now := meta.Now()
	l.view.started = &now
	k.ledger.born(pod, k.owner(ctx, pod))
	l.publish()
	if l.create() && l.mount() && l.initialize() && l.serve() {
		k.ledger.ended(pod.UID, time.Now()) // by itself, as a Job's does
		return
	}
	if ctx.Err() == nil {
		l.terminate()
	}
}

// latest answers the pod as the API server has it now.
func (l *life) latest() *core.Pod {
	if pod, err := l.pods.Pods(l.pod.Namespace).Get(l.pod.Name); err == nil && pod.UID == l.pod.UID {
		l.pod, l.view.pod = pod, pod
	}
	return l.pod
}

// until asks done again and again; false when the pod is deleted or gone before.
func (l *life) until(done func(since time.Duration) bool) bool {
	begun := time.Now()
	for {
		if l.ctx.Err() != nil || l.latest().DeletionTimestamp != nil {
			return false
		}
		if done(time.Since(begun)) {
			return true
		}
		select {
		case <-l.ctx.Done():
		case <-time.After(tick):
		}
	}
}

// setting reads an annotation of the pod, else of its namespace.
func (l *life) setting(name string) setting {
	annotations := []map[string]string{l.pod.Annotations}
	// Those of a namespace are for pods on their way up.
	if name != annotationReady || !l.everReady {
		if namespace, err := l.namespaces.Get(l.pod.Namespace); err == nil {
			annotations = append(annotations, namespace.Annotations)
		}
	}
	value, err := settingOf(name, annotations...)
	if err != nil {
		l.warn("InvalidAnnotation", err.Error())
	}
	return value
}

// warn writes an event, the same one only once.
func (l *life) warn(reason, message string) {
	if !l.warned[reason+message] {
		l.warned[reason+message] = true
		l.events.Event(l.pod, core.EventTypeWarning, reason, message)
	}
}

// create is the time that the images and the sandbox take.
func (l *life) create() bool {
	return l.until(func(since time.Duration) bool {
		start := l.setting(annotationStart)
		if start.word == "pull" {
			l.failPull(since)
		}
		return start.word != "never" && start.word != "pull" && since >= start.time
	})
}

// failPull has no image to start from, first as an error, then backing off.
func (l *life) failPull(since time.Duration) {
	for i := range l.view.main {
		status := &l.view.main[i]
		reason, message := "ErrImagePull", fmt.Sprintf("failed to pull and unpack image %q: not found", status.Image)
		if since > time.Second {
			reason, message = "ImagePullBackOff", fmt.Sprintf("Back-off pulling image %q", status.Image)
		}
		wait(status, reason, message)
		l.warn("Failed", "Error: "+reason)
	}
	l.publish()
}

// mount reads the Secrets of the volumes, and waits for those that are missing.
func (l *life) mount() bool {
	return l.every(retry, func() error {
		volumes, err := l.ledger.digester.volumes(l.pod, l.secret)
		if err != nil {
			l.warn("FailedMount", err.Error())
		}
		l.volumes = volumes
		return err
	})
}

// every tries something until it succeeds.
func (l *life) every(pause time.Duration, try func() error) bool {
	next := time.Duration(0)
	return l.until(func(since time.Duration) bool {
		if since < next {
			return false
		}
		next = since + pause
		return try() == nil
	})
}

// initialize runs the init containers, one after another.
func (l *life) initialize() bool {
	for i := range l.pod.Spec.InitContainers {
		container, status := &l.pod.Spec.InitContainers[i], &l.view.init[i]
		if !l.every(retry, func() error { return l.startContainer(container, status) }) {
			return false
		}
		if isSidecar(*container) {
			status.Ready = true
			l.publish()
			continue
		}
		if !l.until(func(since time.Duration) bool { return since >= initTakes }) {
			return false
		}
		end(status, 0, time.Now())
		status.Ready = true
		l.publish()
	}
	return true
}

// startContainer reads what its variables hold, at this moment, and has it run. A missing Secret is shown as a kubelet does.
func (l *life) startContainer(container *core.Container, status *core.ContainerStatus) error {
	values, err := l.ledger.digester.environment(l.pod.Namespace, container, l.secret)
	if err != nil {
		if absent := (missing{}); errors.As(err, &absent) {
			wait(status, "CreateContainerConfigError", err.Error())
			l.warn("Failed", "Error: "+err.Error())
			l.publish()
		}
		return err
	}
	now := time.Now()
	restarted := status.LastTerminationState.Terminated != nil
	if restarted {
		status.RestartCount++
	}
	run(status, fmt.Sprintf("containerd://%s-%s-%d", l.pod.UID, container.Name, status.RestartCount), now)
	l.ledger.holds(l.pod.UID, container.Name, append(values, mounted(container, l.volumes)...), now, restarted)
	l.events.Event(l.pod, core.EventTypeNormal, "Started", "Started container "+container.Name)
	l.publish()
	return nil
}

// runner is what serve knows of one container beside its status.
type runner struct {
	next    time.Time
	backOff time.Duration
	doomed  bool
}

// serve runs the containers; true when all have ended for good, as those of a Job do.
func (l *life) serve() bool {
	runners := make([]runner, len(l.view.main))
	return l.until(func(time.Duration) bool {
		for i := range runners {
			l.step(&l.pod.Spec.Containers[i], &l.view.main[i], &runners[i], time.Now())
		}
		l.publish()
		return isTerminal(l.published.Phase)
	})
}

// step moves one container on.
func (l *life) step(container *core.Container, status *core.ContainerStatus, r *runner, now time.Time) {
	policy := l.pod.Spec.RestartPolicy
	switch {
	case status.State.Waiting != nil && !now.Before(r.next):
		r.next = now.Add(retry)
		r.doomed = l.setting(annotationStart).word == "crash"
		_ = l.startContainer(container, status)
	case status.State.Running != nil:
		ran := now.Sub(status.State.Running.StartedAt.Time)
		switch {
		case r.doomed && ran >= crashAfter:
			end(status, 1, now)
		case policy != core.RestartPolicyAlways && !r.doomed && ran >= l.setting(annotationRun).time:
			end(status, 0, now)
		default:
			status.Ready = l.isReady(ran) && !r.doomed
		}
	case status.State.Terminated != nil && policy != core.RestartPolicyNever &&
		(policy == core.RestartPolicyAlways || status.State.Terminated.ExitCode != 0):
		r.backOff = min(max(2*r.backOff, backOffFirst), backOffMost)
		r.next = now.Add(r.backOff)
		wait(status, "CrashLoopBackOff", fmt.Sprintf("back-off %s restarting failed container=%s pod=%s_%s(%s)",
			r.backOff, container.Name, l.pod.Name, l.pod.Namespace, l.pod.UID))
		l.warn("BackOff", fmt.Sprintf("Back-off restarting failed container %s in pod %s", container.Name, l.pod.Name))
	}
}

// isReady is the readiness probe.
func (l *life) isReady(ran time.Duration) bool {
	ready := l.setting(annotationReady)
	if ready.word == "never" {
		if ran > time.Second {
			l.warn("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")
		}
		return false
	}
	return ran >= ready.time
}

// terminate lets a deleted pod run until it has ended by itself or its grace period is over, and then tells that it is gone.
func (l *life) terminate() {
	l.ledger.deleted(l.pod.UID, time.Now())
	code := int32(0)
	if l.view.begun() {
		for _, container := range l.pod.Spec.Containers {
			l.events.Event(l.pod, core.EventTypeNormal, "Killing", "Stopping container "+container.Name)
		}
		for begun := time.Now(); l.ctx.Err() == nil; time.Sleep(tick) {
			takes, since := l.setting(annotationTerminate).time, time.Since(begun)
			if grace := l.latest().DeletionGracePeriodSeconds; grace != nil && takes > time.Duration(*grace)*time.Second {
				takes, code = time.Duration(*grace)*time.Second, 137
			} else {
				code = 0
			}
			if since >= takes {
				break
			}
		}
	}
	for _, group := range [][]core.ContainerStatus{l.view.init, l.view.main} {
		for i := range group {
			if group[i].State.Running != nil {
				end(&group[i], code, time.Now())
			}
		}
	}
	l.publish()
	l.ledger.ended(l.pod.UID, time.Now())
	now := int64(0)
	for l.ctx.Err() == nil {
		// The watch may tell of the end, and so end l.ctx, before the answer is here.
		err := l.client.CoreV1().Pods(l.pod.Namespace).Delete(context.WithoutCancel(l.ctx), l.pod.Name, meta.DeleteOptions{
			GracePeriodSeconds: &now, Preconditions: &meta.Preconditions{UID: &l.pod.UID},
		})
		if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return
		}
		time.Sleep(retry)
	}
}

// publish writes the status where it changed.
func (l *life) publish() {
	status := l.view.status(l.published, l.ip, time.Now())
	if equality.Semantic.DeepEqual(status, l.published) {
		return
	}
	_, _, _, err := statuses.PatchPodStatus(l.ctx, l.client, l.pod.Namespace, l.pod.Name, l.pod.UID, l.published, status)
	switch {
	case err == nil:
		l.published = status
		if isPodReady(status) && !l.everReady {
			l.everReady = true
			l.ledger.ready(l.pod.UID, time.Now())
		}
	case l.ctx.Err() == nil && l.latest().DeletionTimestamp == nil:
		// Tried again at the next tick.
		klog.Errorf("cannot tell of pod %s/%s: %v", l.pod.Namespace, l.pod.Name, err)
	}
}

func isPodReady(status core.PodStatus) bool {
	for _, condition := range status.Conditions {
		if condition.Type == core.PodReady {
			return condition.Status == core.ConditionTrue
		}
	}
	return false
}

// secret reads a Secret from the API server, not from a cache: what a container holds is what was there when it began.
func (l *life) secret(name string) (*core.Secret, error) {
	return l.client.CoreV1().Secrets(l.pod.Namespace).Get(l.ctx, name, meta.GetOptions{})
}
