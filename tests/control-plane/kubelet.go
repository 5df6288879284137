// A stand-in for scheduler and kubelet: one node, on which every pod "runs". No container is ever made; what the API server gets to
// see of them is what a kubelet would tell it.

package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typed "k8s.io/client-go/kubernetes/typed/core/v1"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
)

// nodeName is the one node. Pods that name another are left alone.
const nodeName = "n1"

type kubelet struct {
	client     kubernetes.Interface
	pods       listers.PodLister
	namespaces listers.NamespaceLister
	events     record.EventRecorder
	ledger     *ledger

	mu    sync.Mutex
	alive map[types.UID]context.CancelFunc
	count int
}

// startKubelet makes the node and begins to watch pods; it answers when the watch is there.
func startKubelet(ctx context.Context, config *rest.Config, l *ledger) error {
	config = rest.CopyConfig(config)
	config.QPS = -1 // no limit of our own
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	if err := makeNode(ctx, client); err != nil {
		return err
	}
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	broadcaster.StartRecordingToSink(&typed.EventSinkImpl{Interface: client.CoreV1().Events("")})
	factory := informers.NewSharedInformerFactory(client, 0)
	k := &kubelet{
		client: client, pods: factory.Core().V1().Pods().Lister(), namespaces: factory.Core().V1().Namespaces().Lister(),
		events: broadcaster.NewRecorder(scheme.Scheme, core.EventSource{Component: "kubelet", Host: nodeName}),
		ledger: l, alive: map[types.UID]context.CancelFunc{},
	}
	_, err = factory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { k.notice(ctx, object) },
		UpdateFunc: func(_, object any) { k.notice(ctx, object) },
		DeleteFunc: func(object any) {
			if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = last.Obj
			}
			if pod, ok := object.(*core.Pod); ok {
				k.forget(pod.UID)
			}
		},
	})
	if err != nil {
		return err
	}
	factory.Core().V1().Namespaces().Informer()
	factory.Start(ctx.Done())
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return fmt.Errorf("cannot watch %s", kind)
		}
	}
	return nil
}

// makeNode makes the node, ready for everything.
func makeNode(ctx context.Context, client kubernetes.Interface) error {
	node, err := client.CoreV1().Nodes().Create(ctx, &core.Node{ObjectMeta: meta.ObjectMeta{
		Name: nodeName, Labels: map[string]string{core.LabelHostname: nodeName, core.LabelOSStable: "linux"},
	}}, meta.CreateOptions{})
	if err != nil {
		return err
	}
	node.Status.Conditions = []core.NodeCondition{{
		Type: core.NodeReady, Status: core.ConditionTrue, Reason: "KubeletReady", Message: "kubelet is posting ready status",
		LastTransitionTime: meta.Now(), LastHeartbeatTime: meta.Now(),
	}}
	node.Status.Addresses = []core.NodeAddress{
		{Type: core.NodeInternalIP, Address: "127.0.0.1"}, {Type: core.NodeHostName, Address: nodeName},
	}
	_, err = client.CoreV1().Nodes().UpdateStatus(ctx, node, meta.UpdateOptions{})
	return err
}

// notice begins what a pod needs: a node, or its life on ours.
func (k *kubelet) notice(ctx context.Context, object any) {
	pod, ok := object.(*core.Pod)
	if !ok || isTerminal(pod.Status.Phase) {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.alive[pod.UID] != nil {
		return
	}
	switch {
	case pod.Spec.NodeName == "" && pod.DeletionTimestamp == nil && len(pod.Spec.SchedulingGates) == 0:
		go k.bind(ctx, pod)
	case pod.Spec.NodeName == nodeName:
		k.count++
		life, end := context.WithCancel(ctx)
		k.alive[pod.UID] = end
		ip := fmt.Sprintf("10.244.%d.%d", k.count/250%250, k.count%250+2)
		go k.live(life, pod.DeepCopy(), ip)
	}
}

// forget ends the life of a pod that is gone from the API server, however it went.
func (k *kubelet) forget(uid types.UID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if end := k.alive[uid]; end != nil {
		end()
		delete(k.alive, uid)
	}
	k.ledger.ended(uid, time.Now())
}

// bind does the scheduler's part. A pod may be noticed twice before it has its node: the second binding is refused.
func (k *kubelet) bind(ctx context.Context, pod *core.Pod) {
	err := k.client.CoreV1().Pods(pod.Namespace).Bind(ctx, &core.Binding{
		ObjectMeta: meta.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
		Target:     core.ObjectReference{Kind: "Node", Name: nodeName},
	}, meta.CreateOptions{})
	if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) && ctx.Err() == nil {
		klog.Errorf("cannot bind pod %s/%s: %v", pod.Namespace, pod.Name, err)
	}
}
