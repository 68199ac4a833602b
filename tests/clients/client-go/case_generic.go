// Clients that know no kind: dynamic, metadata, discovery, mapping, apply, scale.

package main

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	appsac "k8s.io/client-go/applyconfigurations/apps/v1"
	autoscalingac "k8s.io/client-go/applyconfigurations/autoscaling/v1"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"
	metaac "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/scale"
)

var deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}

var _ = named("dynamic-client", func(w *world) {
	client := w.dynamic().Resource(deployments).Namespace(w.namespace)
	text := must(json.Marshal(deploymentOf("web", 2)))
	object := &unstructured.Unstructured{}
	fine(object.UnmarshalJSON([]byte(`{"apiVersion":"apps/v1","kind":"Deployment",` + string(text[1:]))))
	made := must(client.Create(w.ctx, object, metav1.CreateOptions{}))
	replicas, _, _ := unstructured.NestedInt64(made.Object, "spec", "replicas")
	same("replicas", replicas, int64(2))
	watching := must(client.Watch(w.ctx, metav1.ListOptions{ResourceVersion: made.GetResourceVersion()}))
	defer watching.Stop()
	fine(unstructured.SetNestedField(made.Object, int64(5), "spec", "replicas"))
	changed := must(client.Update(w.ctx, made, metav1.UpdateOptions{}))
	event := next(w.ctx, watching, apiwatch.Modified).(*unstructured.Unstructured)
	same("the event", event.GetResourceVersion(), changed.GetResourceVersion())
	fine(unstructured.SetNestedField(changed.Object, int64(5), "status", "replicas"))
	must(client.UpdateStatus(w.ctx, changed, metav1.UpdateOptions{}))
	patched := must(client.Patch(w.ctx, "web", types.JSONPatchType, []byte(`[{"op":"replace","path":"/spec/replicas","value":1}]`), metav1.PatchOptions{}))
	replicas, _, _ = unstructured.NestedInt64(patched.Object, "spec", "replicas")
	same("replicas", replicas, int64(1))
	scaled := must(client.Get(w.ctx, "web", metav1.GetOptions{}, "scale"))
	same("scale", scaled.GetKind(), "Scale")
	list := must(client.List(w.ctx, metav1.ListOptions{LabelSelector: "app=web"}))
	same("the list's kind", list.GetKind()+" "+list.Items[0].GetKind(), "DeploymentList Deployment")
	applied := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{"name": "web", "annotations": map[string]any{"by": "apply"}},
	}}
	after := must(client.Apply(w.ctx, "web", applied, metav1.ApplyOptions{FieldManager: "dyn"}))
	same("annotations", after.GetAnnotations(), map[string]string{"by": "apply"})
	fine(client.Delete(w.ctx, "web", metav1.DeleteOptions{}))
})

var _ = named("apply-configurations", func(w *world) {
	client := w.client()
	deployments := client.AppsV1().Deployments(w.namespace)
	template := coreac.PodTemplateSpec().WithLabels(map[string]string{"app": "web"}).
		WithSpec(coreac.PodSpec().WithContainers(coreac.Container().WithName("c").WithImage("nginx:1.27")))
	wanted := appsac.Deployment("web", w.namespace).WithLabels(map[string]string{"l": "1"}).
		WithSpec(appsac.DeploymentSpec().WithReplicas(3).WithSelector(metaac.LabelSelector().WithMatchLabels(map[string]string{"app": "web"})).WithTemplate(template))
	one, two := metav1.ApplyOptions{FieldManager: "one"}, metav1.ApplyOptions{FieldManager: "two"}
	made := must(deployments.Apply(w.ctx, wanted, one))
	same("managers", managers(made.ManagedFields), []string{"one Apply "})
	again := must(deployments.Apply(w.ctx, wanted, one))
	same("nothing changes", again.ResourceVersion, made.ResourceVersion)

	// What one manager owns, as an apply configuration; changed, and applied again.
	own := must(appsac.ExtractDeployment(again, "one"))
	same("what one owns", *own.Spec.Replicas, int32(3))
	same("defaults are nobody's", own.Spec.RevisionHistoryLimit == nil, true)
	own.Spec.WithReplicas(4)
	same("replicas", *must(deployments.Apply(w.ctx, own, one)).Spec.Replicas, int32(4))

	// Two managers of the same field.
	other := appsac.Deployment("web", w.namespace).WithSpec(appsac.DeploymentSpec().WithReplicas(9))
	_, err := deployments.Apply(w.ctx, other, two)
	refused("a conflict", err, apierrors.IsConflict, `Apply failed with 1 conflict: conflict with "one": .spec.replicas`)
	cause, ok := apierrors.StatusCause(err, metav1.CauseTypeFieldManagerConflict)
	same("its cause", fmt.Sprint(ok, cause.Field, cause.Message), `true.spec.replicasconflict with "one"`)
	two.Force = true
	same("replicas", *must(deployments.Apply(w.ctx, other, two)).Spec.Replicas, int32(9))
	own.Spec.Replicas = nil
	same("replicas", *must(deployments.Apply(w.ctx, own, one)).Spec.Replicas, int32(9))
	// Who applies without a field that only they owned removes it.
	own.Labels = nil
	same("labels", must(deployments.Apply(w.ctx, own, one)).Labels, map[string]string(nil))

	status := appsac.Deployment("web", w.namespace).WithStatus(appsac.DeploymentStatus().WithReplicas(2).WithObservedGeneration(1))
	after := must(deployments.ApplyStatus(w.ctx, status, metav1.ApplyOptions{FieldManager: "controller"}))
	same("status", after.Status.Replicas, int32(2))
	sized := must(deployments.ApplyScale(w.ctx, "web", autoscalingac.Scale().WithName("web").WithNamespace(w.namespace).WithSpec(autoscalingac.ScaleSpec().WithReplicas(6)), metav1.ApplyOptions{FieldManager: "scaler", Force: true}))
	same("scale", sized.Spec.Replicas, int32(6))
	final := must(deployments.Get(w.ctx, "web", metav1.GetOptions{}))
	same("managers", managers(final.ManagedFields), []string{"controller Apply status", "one Apply ", "scaler Apply scale"})

	_, err = deployments.Apply(w.ctx, wanted, metav1.ApplyOptions{})
	refused("nobody", err, func(err error) bool { return err != nil }, "fieldManager")
	typed := coreac.ConfigMap("c", w.namespace).WithData(map[string]string{"a": "1"})
	must(client.CoreV1().ConfigMaps(w.namespace).Apply(w.ctx, typed, one))
})

// managers of an object, in the order of their names: that of the entries goes by their second.
func managers(entries []metav1.ManagedFieldsEntry) []string {
	var names []string
	for _, e := range entries {
		names = append(names, fmt.Sprintf("%s %s %s", e.Manager, e.Operation, e.Subresource))
	}
	sort.Strings(names)
	return names
}

var _ = named("discovery", func(w *world) {
	config := w.config()
	passed := watch(config)
	client := must(discovery.NewDiscoveryClientForConfig(config))
	groups, lists, err := client.ServerGroupsAndResources()
	fine(err)
	same("requests", len(passed.all()), 2)
	same("the answer is aggregated", strings.Contains(strings.Join(passed.types, " "), "g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"), true)
	found := map[string]string{}
	for _, group := range groups {
		found[group.Name] = group.PreferredVersion.GroupVersion
	}
	for name, version := range map[string]string{"": "v1", "apps": "apps/v1", "autoscaling": "autoscaling/v2", "events.k8s.io": "events.k8s.io/v1", "policy": "policy/v1"} {
		same("the version of "+name, found[name], version)
	}
	same("lists", len(lists) > 18, true)
	preferred := must(client.ServerPreferredResources())
	same("preferred lists", len(preferred) > 17, true)
	version := must(client.ServerVersion())
	same("version", version.Major+"."+version.Minor, "1.35")

	// Without the aggregated form.
	client.UseLegacyDiscovery = true
	_, old, err := client.ServerGroupsAndResources()
	fine(err)
	same("lists of the old form", len(old), len(lists))

	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client))
	mapping := must(mapper.RESTMapping(schema.GroupKind{Group: "apps", Kind: "Deployment"}))
	same("the resource", mapping.Resource, deployments)
	same("the scope", mapping.Scope.Name(), meta.RESTScopeNameNamespace)
	kind := must(mapper.KindFor(schema.GroupVersionResource{Resource: "nodes"}))
	same("the kind", kind, schema.GroupVersionKind{Version: "v1", Kind: "Node"})
	short := restmapper.NewShortcutExpander(mapper, memory.NewMemCacheClient(client), nil)
	resource := must(short.ResourceFor(schema.GroupVersionResource{Resource: "deploy"}))
	same("of a short name", resource, deployments)
	_, err = mapper.RESTMapping(schema.GroupKind{Group: "example.com", Kind: "Nope"})
	refused("an unknown kind", err, meta.IsNoMatchError)
})

var _ = named("openapi", func(w *world) {
	client := must(discovery.NewDiscoveryClientForConfig(w.config()))
	paths := must(client.OpenAPIV3().Paths())
	for _, path := range []string{"api/v1", "apis/apps/v1", "apis/batch/v1", "apis/policy/v1"} {
		document, ok := paths[path]
		same(path+" is there", ok, true)
		has(string(must(document.Schema("application/json"))), `"openapi":"3`, "x-kubernetes-group-version-kind")
		same(path+" as protobuf", len(must(document.Schema("application/com.github.proto-openapi.spec.v3@v1.0+protobuf"))) > 1000, true)
	}
	// gnostic protobuf.
	old := must(client.OpenAPISchema())
	same("definitions", len(old.GetDefinitions().GetAdditionalProperties()) > 400, true)
})

var _ = named("scale-client", func(w *world) {
	client := w.client()
	config := w.config()
	cached := memory.NewMemCacheClient(client.Discovery())
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(cached)
	scales := must(scale.NewForConfig(config, mapper, pathOf, scale.NewDiscoveryScaleKindResolver(client.Discovery()))).Scales(w.namespace)
	deps := client.AppsV1().Deployments(w.namespace)
	must(deps.Create(w.ctx, deploymentOf("web", 2), metav1.CreateOptions{}))
	resource := deployments.GroupResource()
	found := must(scales.Get(w.ctx, resource, "web", metav1.GetOptions{}))
	same("replicas", found.Spec.Replicas, int32(2))
	same("selector", found.Status.Selector, "app=web")
	found.Spec.Replicas = 5
	found = must(scales.Update(w.ctx, resource, found, metav1.UpdateOptions{}))
	same("replicas", found.Spec.Replicas, int32(5))
	stale := found.DeepCopy()
	found = must(scales.Patch(w.ctx, deployments, "web", types.MergePatchType, []byte(`{"spec":{"replicas":7}}`), metav1.PatchOptions{}))
	same("replicas", found.Spec.Replicas, int32(7))
	_, err := scales.Update(w.ctx, resource, stale, metav1.UpdateOptions{})
	refused("a stale update", err, apierrors.IsConflict)
	typed := must(deps.GetScale(w.ctx, "web", metav1.GetOptions{}))
	same("typed", typed.Spec.Replicas, int32(7))
	must(deps.UpdateScale(w.ctx, "web", &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: w.namespace}, Spec: autoscalingv1.ScaleSpec{Replicas: 1}}, metav1.UpdateOptions{}))
	same("of the deployment", *must(deps.Get(w.ctx, "web", metav1.GetOptions{})).Spec.Replicas, int32(1))
	_, err = deps.UpdateScale(w.ctx, "web", &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: w.namespace}, Spec: autoscalingv1.ScaleSpec{Replicas: -1}}, metav1.UpdateOptions{})
	refused("less than nothing", err, apierrors.IsInvalid)
})

// pathOf the API of a group.
func pathOf(kind schema.GroupVersionKind) string {
	if kind.Group == "" {
		return "/api"
	}
	return "/apis"
}

var _ = named("metadata-client", func(w *world) {
	config := w.config()
	passed := watch(config)
	client := must(metadata.NewForConfig(config)).Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace(w.namespace)
	must(w.client().CoreV1().Pods(w.namespace).Create(w.ctx, podOf("web"), metav1.CreateOptions{}))
	one := must(client.Get(w.ctx, "web", metav1.GetOptions{}))
	same("its name and its label", one.Name+" "+one.Labels["app"], "web web")
	list := must(client.List(w.ctx, metav1.ListOptions{}))
	same("items", len(list.Items), 1)
	has(strings.Join(passed.types, " "), "application/vnd.kubernetes.protobuf")
	watching := must(client.Watch(w.ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion}))
	defer watching.Stop()
	must(client.Patch(w.ctx, "web", types.MergePatchType, []byte(`{"metadata":{"labels":{"new":"1"}}}`), metav1.PatchOptions{}))
	event := next(w.ctx, watching, apiwatch.Modified).(*metav1.PartialObjectMetadata)
	same("a label", event.Labels["new"], "1")
	fine(client.DeleteCollection(w.ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "new=1"}))
	_, err := client.Get(w.ctx, "web", metav1.GetOptions{})
	refused("get afterwards", err, apierrors.IsNotFound)
})

var _ = named("events-of-a-component", func(w *world) {
	client := w.client()
	pod := must(client.CoreV1().Pods(w.namespace).Create(w.ctx, podOf("web"), metav1.CreateOptions{}))
	recordEvents(w, client, pod)
	eventually("an event that was counted", func() error {
		list, err := client.CoreV1().Events(w.namespace).List(w.ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=web"})
		if err != nil {
			return err
		}
		if len(list.Items) != 1 || list.Items[0].Count != 3 {
			return fmt.Errorf("%d events: %+v", len(list.Items), list.Items)
		}
		return nil
	})
	found := must(client.EventsV1().Events(w.namespace).List(w.ctx, metav1.ListOptions{}))
	same("of the other group", found.Items[0].Note+" "+found.Items[0].Regarding.Name, "it is late web")
	same("its reporter", found.Items[0].DeprecatedSource, corev1.EventSource{Component: "tester"})
})
