// The ledger: every pod that ever ran here, when, and what its containers got from Secrets, as digests. It is the truth that tests
// compare a tool's report with.

package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"slices"
	"sync"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// ledger is asked while pods live.
type ledger struct {
	digester digester

	mu   sync.Mutex
	pods map[types.UID]*podRecord
}

// podRecord is one pod, as GET /pods tells it. A time that is absent has not come.
type podRecord struct {
	Namespace string     `json:"namespace"`
	Name      string     `json:"name"`
	UID       types.UID  `json:"uid"`
	Owner     string     `json:"owner"`
	Created   time.Time  `json:"created"`
	Started   *time.Time `json:"started"`
	Ready     *time.Time `json:"ready"`
	Deleted   *time.Time `json:"deleted"`
	Ended     *time.Time `json:"ended"`
	Restarts  int        `json:"restarts"`
	Holds     []held     `json:"holds"`
}

func newLedger() *ledger {
	salt := make([]byte, 32)
	_, _ = rand.Read(salt) // never fails
	return &ledger{digester: digester{salt}, pods: map[types.UID]*podRecord{}}
}

func (l *ledger) born(pod *core.Pod, owner string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pods[pod.UID] = &podRecord{
		Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, Owner: owner, Created: time.Now().UTC(), Holds: []held{},
	}
}

// holds replaces what a container had: a container that is started again reads its Secrets again.
func (l *ledger) holds(uid types.UID, container string, values []held, now time.Time, restarted bool) {
	l.change(uid, func(pod *podRecord) {
		first(&pod.Started, now)
		pod.Holds = slices.DeleteFunc(pod.Holds, func(h held) bool { return h.Container == container })
		pod.Holds = append(pod.Holds, values...)
		if restarted {
			pod.Restarts++
		}
	})
}

func (l *ledger) ready(uid types.UID, now time.Time) {
	l.change(uid, func(pod *podRecord) { first(&pod.Ready, now) })
}

func (l *ledger) deleted(uid types.UID, now time.Time) {
	l.change(uid, func(pod *podRecord) { first(&pod.Deleted, now) })
}

func (l *ledger) ended(uid types.UID, now time.Time) {
	l.change(uid, func(pod *podRecord) { first(&pod.Ended, now) })
}

func (l *ledger) change(uid types.UID, how func(pod *podRecord)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if pod := l.pods[uid]; pod != nil {
		how(pod)
	}
}

// first sets a time that is not set.
func first(when **time.Time, now time.Time) {
	if *when == nil {
		utc := now.UTC()
		*when = &utc
	}
}

// all lists the pods in the order of their creation.
func (l *ledger) all() []podRecord {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]podRecord, 0, len(l.pods))
	for _, pod := range l.pods {
		one := *pod
		one.Holds = slices.Clone(pod.Holds)
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b podRecord) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Name, b.Name))
	})
	return all
}

// owner names who made a pod in the end: Deployment/backend, not its ReplicaSet. A pod that nobody made owns itself.
func (k *kubelet) owner(ctx context.Context, pod *core.Pod) string {
	by := meta.GetControllerOf(pod)
	if by == nil {
		return "Pod/" + pod.Name
	}
	var above *meta.OwnerReference
	switch by.Kind {
	case "ReplicaSet":
		if set, err := k.client.AppsV1().ReplicaSets(pod.Namespace).Get(ctx, by.Name, meta.GetOptions{}); err == nil {
			above = meta.GetControllerOf(set)
		}
	case "Job":
		if job, err := k.client.BatchV1().Jobs(pod.Namespace).Get(ctx, by.Name, meta.GetOptions{}); err == nil {
			above = meta.GetControllerOf(job)
		}
	}
	if above != nil {
		by = above
	}
	return by.Kind + "/" + by.Name
}
