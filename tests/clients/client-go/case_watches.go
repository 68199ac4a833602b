// Lists in pages, watch lists, informers, leader election: what controllers are made of.

package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/tools/pager"
	"k8s.io/client-go/tools/record"
)

// record three events of the same kind.
func recordEvents(w *world, client *kubernetes.Clientset, pod *corev1.Pod) {
	broadcaster := record.NewBroadcaster(record.WithContext(w.ctx))
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events(w.namespace)})
	recorder := broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "tester"})
	for range 3 {
		recorder.Event(pod, corev1.EventTypeWarning, "Late", "it is late")
	}
}

var _ = named("pages", func(w *world) {
	client := w.client()
	maps := client.CoreV1().ConfigMaps(w.namespace)
	for n := range 25 {
		must(maps.Create(w.ctx, configMap(fmt.Sprintf("c%02d", n), nil), metav1.CreateOptions{}))
	}
	first := must(maps.List(w.ctx, metav1.ListOptions{Limit: 10}))
	same("what remains", *first.RemainingItemCount, int64(15))
	must(maps.Create(w.ctx, configMap("c10-late", nil), metav1.CreateOptions{}))
	second := must(maps.List(w.ctx, metav1.ListOptions{Limit: 10, Continue: first.Continue}))
	same("the same snapshot", second.ResourceVersion, first.ResourceVersion)
	same("its first", second.Items[0].Name, "c10")
	same("its second", second.Items[1].Name, "c11")

	pages := 0
	each := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		pages++
		return maps.List(ctx, options)
	})
	each.PageSize = 10
	count := 0
	fine(each.EachListItem(w.ctx, metav1.ListOptions{}, func(runtime.Object) error {
		count++
		return nil
	}))
	same("items and pages", fmt.Sprint(count, " ", pages), "26 3")
	// Parallel callers, each with its own snapshot.
	var group sync.WaitGroup
	problems := make(chan error, 4)
	for range 4 {
		group.Go(func() {
			list, _, err := pager.New(pager.SimplePageFunc(func(options metav1.ListOptions) (runtime.Object, error) {
				options.Limit = 5
				return maps.List(w.ctx, options)
			})).List(w.ctx, metav1.ListOptions{})
			if err == nil && len(must(itemsOf(list))) != 26 {
				err = fmt.Errorf("%d items", len(must(itemsOf(list))))
			}
			problems <- err
		})
	}
	group.Wait()
	for range 4 {
		fine(<-problems)
	}
})

var _ = named("gzip", func(w *world) {
	config := w.config()
	passed := watch(config)
	maps := must(kubernetes.NewForConfig(config)).CoreV1().ConfigMaps(w.namespace)
	must(maps.Create(w.ctx, configMap("big", map[string]string{"k": strings.Repeat("many words ", 30_000)}), metav1.CreateOptions{}))
	list := must(maps.List(w.ctx, metav1.ListOptions{}))
	same("it is whole", len(list.Items[0].Data["k"]), 330_000)
	same("a large answer is compressed", passed.zipped > 0, true)
})

var _ = named("watch-list", func(w *world) {
	for _, config := range []*rest.Config{w.config(), w.protobufConfig()} {
		client := must(kubernetes.NewForConfig(config))
		maps := client.CoreV1().ConfigMaps(w.namespace)
		prefix := "j"
		if config.ContentType == protobuf {
			prefix = "p"
		}
		for n := range 3 {
			made := configMap(fmt.Sprintf("%s%d", prefix, n), nil)
			made.Labels["of"] = prefix
			must(maps.Create(w.ctx, made, metav1.CreateOptions{}))
		}
		yes := true
		watching := must(maps.Watch(w.ctx, metav1.ListOptions{
			LabelSelector: "of=" + prefix, SendInitialEvents: &yes, AllowWatchBookmarks: true,
			ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
		}))
		for n := range 3 {
			same("a name", next(w.ctx, watching, apiwatch.Added).(*corev1.ConfigMap).Name, fmt.Sprintf("%s%d", prefix, n))
		}
		mark := next(w.ctx, watching, apiwatch.Bookmark).(*corev1.ConfigMap)
		same("the mark", mark.Annotations[metav1.InitialEventsAnnotationKey], "true")
		same("its revision", mark.ResourceVersion != "", true)
		must(maps.Patch(w.ctx, prefix+"1", types.MergePatchType, []byte(`{"data":{"k":"v"}}`), metav1.PatchOptions{}))
		same("a change", next(w.ctx, watching, apiwatch.Modified).(*corev1.ConfigMap).Data, map[string]string{"k": "v"})
		watching.Stop()
	}
	// What informers do of themselves.
	config := w.config()
	passed := watch(config)
	factory := informers.NewSharedInformerFactoryWithOptions(must(kubernetes.NewForConfig(config)), 0, informers.WithNamespace(w.namespace))
	lister := factory.Core().V1().ConfigMaps().Lister()
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	factory.Core().V1().ConfigMaps().Informer()
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	same("what it has", len(must(lister.List(labels.Everything()))) >= 6, true)
	requests := passed.all()
	same("requests", len(requests), 1)
	has(requests[0], "sendInitialEvents=true", "watch=true", "allowWatchBookmarks=true")
})

var _ = named("informers-of-each-kind", func(w *world) {
	client := must(kubernetes.NewForConfig(w.protobufConfig()))
	lists := must(client.Discovery().ServerPreferredResources())
	factory := informers.NewSharedInformerFactory(client, 0)
	generic := dynamicinformer.NewDynamicSharedInformerFactory(w.dynamic(), 0)
	count := 0
	for _, list := range lists {
		version := must(schema.ParseGroupVersion(list.GroupVersion))
		for _, resource := range list.APIResources {
			if !strings.Contains(fmt.Sprint(resource.Verbs), "watch") || strings.Contains(version.Version, "beta") || strings.Contains(version.Version, "alpha") {
				continue
			}
			gvr := version.WithResource(resource.Name)
			generic.ForResource(gvr).Informer()
			if _, err := factory.ForResource(gvr); err == nil {
				must(factory.ForResource(gvr)).Informer()
				count++
			}
		}
	}
	same("kinds", count > 45, true)
	ctx, cancel := context.WithTimeout(w.ctx, 60*time.Second)
	defer cancel()
	factory.Start(ctx.Done())
	generic.Start(ctx.Done())
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		same(fmt.Sprint(kind, " is there"), synced, true)
	}
	for kind, synced := range generic.WaitForCacheSync(ctx.Done()) {
		same(fmt.Sprint(kind, " is there, without its type"), synced, true)
	}
	cancel()
	factory.Shutdown()
	generic.Shutdown()
})

var _ = named("leader-election", func(w *world) {
	type turn struct {
		name    string
		leading bool
	}
	turns := make(chan turn, 100)
	candidate := func(name string) context.CancelFunc {
		ctx, cancel := context.WithCancel(w.ctx)
		client := must(kubernetes.NewForConfig(w.protobufConfig()))
		lock := &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Name: "lock", Namespace: w.namespace},
			Client:     client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: name},
		}
		elector := must(leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
			Lock: lock, LeaseDuration: 3 * time.Second, RenewDeadline: 2 * time.Second, RetryPeriod: 300 * time.Millisecond, ReleaseOnCancel: true,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(context.Context) { turns <- turn{name, true} },
				OnStoppedLeading: func() { turns <- turn{name, false} },
			},
		}))
		go elector.Run(ctx)
		return cancel
	}
	wait := func(expected turn) {
		select {
		case found := <-turns:
			same("who leads", found, expected)
		case <-time.After(20 * time.Second):
			fail("%+v has not come", expected)
		}
	}
	first := candidate("first")
	wait(turn{"first", true})
	second := candidate("second")
	defer second()
	// Longer than the lease lasts: it is renewed, and the other does not get it.
	select {
	case found := <-turns:
		fail("%+v while the first leads", found)
	case <-time.After(4 * time.Second):
	}
	lease := must(w.client().CoordinationV1().Leases(w.namespace).Get(w.ctx, "lock", metav1.GetOptions{}))
	same("the holder", *lease.Spec.HolderIdentity, "first")
	first()
	wait(turn{"first", false})
	wait(turn{"second", true})
	lease = must(w.client().CoordinationV1().Leases(w.namespace).Get(w.ctx, "lock", metav1.GetOptions{}))
	same("the holder, and how often it has changed", fmt.Sprint(*lease.Spec.HolderIdentity, " ", *lease.Spec.LeaseTransitions > 0), "second true")
})
