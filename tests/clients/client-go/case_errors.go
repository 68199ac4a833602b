// Each kind of error, as k8s.io/apimachinery/pkg/api/errors tells them apart.

package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// refused ends the case if an error is not of this kind, with these words.
func refused(what string, err error, is func(error) bool, words ...string) {
	if err == nil {
		fail("%s: it was not refused", what)
	}
	if !is(err) {
		fail("%s: %v is another error: %v", what, err, apierrors.ReasonForError(err))
	}
	has(err.Error(), words...)
}

var _ = named("errors-of-each-kind", func(w *world) {
	client := w.client()
	core := client.CoreV1()
	maps := core.ConfigMaps(w.namespace)
	made := must(maps.Create(w.ctx, configMap("c", nil), metav1.CreateOptions{}))

	_, err := maps.Get(w.ctx, "none", metav1.GetOptions{})
	refused("get of nothing", err, apierrors.IsNotFound, `configmaps "none" not found`)
	_, err = client.AppsV1().Deployments(w.namespace).Get(w.ctx, "none", metav1.GetOptions{})
	refused("get of no deployment", err, apierrors.IsNotFound, `deployments.apps "none" not found`)
	_, err = core.Pods("nowhere").Get(w.ctx, "none", metav1.GetOptions{})
	refused("get in no namespace", err, apierrors.IsNotFound, `pods "none" not found`)
	_, err = maps.Create(w.ctx, configMap("c", nil), metav1.CreateOptions{})
	refused("create again", err, apierrors.IsAlreadyExists, `configmaps "c" already exists`)

	stale := made.DeepCopy()
	made.Data = map[string]string{"a": "1"}
	must(maps.Update(w.ctx, made, metav1.UpdateOptions{}))
	_, err = maps.Update(w.ctx, stale, metav1.UpdateOptions{})
	refused("stale update", err, apierrors.IsConflict, "the object has been modified")
	another := types.UID("0d6a3b0e-7e5a-4a43-9f0c-000000000000")
	err = maps.Delete(w.ctx, "c", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &another}})
	refused("delete of another", err, apierrors.IsConflict, "the UID in the precondition ("+string(another)+") does not match the UID in record")

	wrong := podOf("Bad_")
	wrong.Spec.Containers[0].Image = ""
	_, err = core.Pods(w.namespace).Create(w.ctx, wrong, metav1.CreateOptions{})
	refused("a wrong pod", err, apierrors.IsInvalid, `Pod "Bad_" is invalid: [metadata.name: Invalid value: "Bad_"`, "spec.containers[0].image: Required value")
	cause, ok := apierrors.StatusCause(err, metav1.CauseTypeFieldValueRequired)
	same("a cause", fmt.Sprint(ok, " ", cause.Field), "true spec.containers[0].image")

	_, err = maps.Patch(w.ctx, "c", types.MergePatchType, []byte("{"), metav1.PatchOptions{})
	refused("no patch", err, apierrors.IsBadRequest)
	_, err = maps.List(w.ctx, metav1.ListOptions{FieldSelector: "spec.nope=1"})
	refused("a selector", err, apierrors.IsBadRequest, "\"spec.nope\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
	_, err = maps.List(w.ctx, metav1.ListOptions{Limit: 1, Continue: "nonsense"})
	refused("a token", err, apierrors.IsBadRequest)

	err = core.Namespaces().Delete(w.ctx, "default", metav1.DeleteOptions{})
	refused("a protected namespace", err, apierrors.IsForbidden, `namespaces "default" is forbidden: this namespace may not be deleted`)

	big := configMap("big", map[string]string{"k": strings.Repeat("x", 4<<20)})
	_, err = maps.Create(w.ctx, big, metav1.CreateOptions{})
	refused("a large request", err, apierrors.IsRequestEntityTooLargeError)

	raw := core.RESTClient()
	err = raw.Put().AbsPath("/api/v1/namespaces/" + w.namespace + "/configmaps").Body([]byte("{}")).Do(w.ctx).Error()
	refused("put to a list", err, apierrors.IsMethodNotSupported)
	err = raw.Get().Namespace(w.namespace).Resource("configmaps").SetHeader("Accept", "text/html").Do(w.ctx).Error()
	refused("text", err, apierrors.IsNotAcceptable)
	body := bytes.NewBufferString("a: 1")
	err = raw.Post().Namespace(w.namespace).Resource("configmaps").SetHeader("Content-Type", "text/plain").Body(io.Reader(body)).Do(w.ctx).Error()
	refused("plain text", err, apierrors.IsUnsupportedMediaType)

	err = raw.Get().MaxRetries(0).Namespace(w.namespace).Resource("configmaps").
		Param("resourceVersion", "999999999").Param("resourceVersionMatch", "NotOlderThan").Do(w.ctx).Error()
	refused("the future", err, apierrors.IsTimeout, "Too large resource version")
	same("its cause", apierrors.HasStatusCause(err, metav1.CauseTypeResourceVersionTooLarge), true)

	resources := w.dynamic().Resource(schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "nopes"})
	_, err = resources.List(w.ctx, metav1.ListOptions{})
	refused("no such resource", err, apierrors.IsNotFound, "the server could not find the requested resource")
	same("a mapping error is another thing", meta.IsNoMatchError(err), false)
})

var _ = named("errors-of-an-ending-namespace", func(w *world) {
	core := w.client().CoreV1()
	name := w.namespace + "-end"
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	must(core.Namespaces().Create(w.ctx, namespace, metav1.CreateOptions{}))
	hold := configMap("hold", nil)
	hold.Finalizers = []string{"example.com/hold"}
	must(core.ConfigMaps(name).Create(w.ctx, hold, metav1.CreateOptions{}))
	fine(core.Namespaces().Delete(w.ctx, name, metav1.DeleteOptions{}))
	_, err := core.ConfigMaps(name).Create(w.ctx, configMap("late", nil), metav1.CreateOptions{})
	refused("create in it", err, apierrors.IsForbidden, "unable to create new content in namespace "+name+" because it is being terminated")
	same("its cause", apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause), true)
	must(core.ConfigMaps(name).Patch(w.ctx, "hold", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}))
})

var _ = named("eviction", func(w *world) {
	client := w.client()
	pods := client.CoreV1().Pods(w.namespace)
	evict := func(name string, options *metav1.DeleteOptions) error {
		return client.PolicyV1().Evictions(w.namespace).Evict(w.ctx, &policyv1.Eviction{
			ObjectMeta:    metav1.ObjectMeta{Name: name, Namespace: w.namespace},
			DeleteOptions: options,
		})
	}
	must(pods.Create(w.ctx, podOf("free"), metav1.CreateOptions{}))
	fine(evict("free", &metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}}))
	must(pods.Get(w.ctx, "free", metav1.GetOptions{}))
	fine(evict("free", nil))
	_, err := pods.Get(w.ctx, "free", metav1.GetOptions{})
	refused("get of what was evicted", err, apierrors.IsNotFound)
	refused("evict of nothing", evict("none", nil), apierrors.IsNotFound, `pods "none" not found`)

	one := intstr.FromInt32(1)
	budgets := client.PolicyV1().PodDisruptionBudgets(w.namespace)
	budget := must(budgets.Create(w.ctx, &policyv1.PodDisruptionBudget{
		ObjectMeta: header("b"),
		Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: &one, Selector: selector("held")},
	}, metav1.CreateOptions{}))
	held := podOf("held")
	held.Spec.NodeName = "far"
	held = must(pods.Create(w.ctx, held, metav1.CreateOptions{}))
	held.Status.Phase = corev1.PodRunning
	held.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	must(pods.UpdateStatus(w.ctx, held, metav1.UpdateOptions{}))
	// The controller of budgets counts.
	budget.Status = policyv1.PodDisruptionBudgetStatus{ObservedGeneration: 1, ExpectedPods: 1, CurrentHealthy: 1, DesiredHealthy: 1}
	budget = must(budgets.UpdateStatus(w.ctx, budget, metav1.UpdateOptions{}))
	err = evict("held", nil)
	refused("a full budget", err, apierrors.IsTooManyRequests, "Cannot evict pod as it would violate the pod's disruption budget.")
	same("its cause", apierrors.HasStatusCause(err, policyv1.DisruptionBudgetCause), true)
	budget.Status.DisruptionsAllowed = 1
	must(budgets.UpdateStatus(w.ctx, budget, metav1.UpdateOptions{}))
	fine(evict("held", nil))
	budget = must(budgets.Get(w.ctx, "b", metav1.GetOptions{}))
	same("disruptions that are left", budget.Status.DisruptionsAllowed, int32(0))
	_, noted := budget.Status.DisruptedPods["held"]
	same("the pod is noted", noted, true)
	must(pods.Create(w.ctx, podOf("two"), metav1.CreateOptions{}))
})

var _ = named("warnings-and-trials", func(w *world) {
	config := w.config()
	var warnings []string
	config.WarningHandler = handler(func(text string) { warnings = append(warnings, text) })
	client := must(kubernetes.NewForConfig(config))
	raw := client.CoreV1().RESTClient()
	send := func(name, validation string) rest.Result {
		body := fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q},"nonsense":1}`, name)
		return raw.Post().Namespace(w.namespace).Resource("configmaps").Param("fieldValidation", validation).SetHeader("Content-Type", "application/json").Body([]byte(body)).Do(w.ctx)
	}
	fine(send("a", "Warn").Error())
	same("warnings", warnings, []string{`unknown field "nonsense"`})
	fine(send("b", "Ignore").Error())
	same("warnings", len(warnings), 1)
	refused("strict", send("c", "Strict").Error(), apierrors.IsBadRequest, `strict decoding error: unknown field "nonsense"`)
	must(client.CoreV1().Endpoints(w.namespace).List(w.ctx, metav1.ListOptions{})) //nolint:staticcheck // It is what is tested.
	same("warnings", warnings[len(warnings)-1], "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice")

	all := []string{metav1.DryRunAll}
	maps := client.CoreV1().ConfigMaps(w.namespace)
	dry := must(maps.Create(w.ctx, configMap("dry", nil), metav1.CreateOptions{DryRun: all}))
	same("it has a uid", dry.UID != "", true)
	_, err := maps.Get(w.ctx, "dry", metav1.GetOptions{})
	refused("get of it", err, apierrors.IsNotFound)
	must(maps.Patch(w.ctx, "a", types.MergePatchType, []byte(`{"data":{"k":"v"}}`), metav1.PatchOptions{DryRun: all}))
	same("data", len(must(maps.Get(w.ctx, "a", metav1.GetOptions{})).Data), 0)
	fine(maps.Delete(w.ctx, "a", metav1.DeleteOptions{DryRun: all}))
	fine(maps.DeleteCollection(w.ctx, metav1.DeleteOptions{DryRun: all}, metav1.ListOptions{}))
	must(maps.Get(w.ctx, "a", metav1.GetOptions{}))
	_, err = maps.Create(w.ctx, configMap("x", nil), metav1.CreateOptions{DryRun: []string{"Some"}})
	refused("a trial of another kind", err, apierrors.IsInvalid)
})

type handler func(string)

// HandleWarningHeader takes a warning.
func (h handler) HandleWarningHeader(_ int, _ string, text string) { h(text) }

var _ = named("deletes", func(w *world) {
	client := w.client()
	deployments := client.AppsV1().Deployments(w.namespace)
	for policy, finalizer := range map[metav1.DeletionPropagation]string{
		metav1.DeletePropagationForeground: metav1.FinalizerDeleteDependents,
		metav1.DeletePropagationOrphan:     metav1.FinalizerOrphanDependents,
	} {
		must(deployments.Create(w.ctx, deploymentOf("d", 1), metav1.CreateOptions{}))
		fine(deployments.Delete(w.ctx, "d", metav1.DeleteOptions{PropagationPolicy: &policy}))
		held := must(deployments.Get(w.ctx, "d", metav1.GetOptions{}))
		same("finalizers", held.Finalizers, []string{finalizer})
		same("it is marked", held.DeletionTimestamp != nil, true)
		// The collector of garbage.
		held.Finalizers = nil
		must(deployments.Update(w.ctx, held, metav1.UpdateOptions{}))
		_, err := deployments.Get(w.ctx, "d", metav1.GetOptions{})
		refused("get afterwards", err, apierrors.IsNotFound)
	}
	for _, name := range []string{"a", "b", "c"} {
		made := deploymentOf(name, 1)
		made.Labels["even"] = fmt.Sprint(name == "b")
		must(deployments.Create(w.ctx, made, metav1.CreateOptions{}))
	}
	fine(deployments.DeleteCollection(w.ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "even=false"}))
	same("what is left", namesOf(must(deployments.List(w.ctx, metav1.ListOptions{})).Items), []string{"b"})

	pods := client.CoreV1().Pods(w.namespace)
	bound := podOf("bound")
	bound.Spec.NodeName = "far"
	must(pods.Create(w.ctx, bound, metav1.CreateOptions{}))
	fine(pods.Delete(w.ctx, "bound", metav1.DeleteOptions{}))
	marked := must(pods.Get(w.ctx, "bound", metav1.GetOptions{}))
	same("its grace", *marked.DeletionGracePeriodSeconds, int64(30))
	fine(pods.Delete(w.ctx, "bound", *metav1.NewDeleteOptions(0)))
	_, err := pods.Get(w.ctx, "bound", metav1.GetOptions{})
	refused("get afterwards", err, apierrors.IsNotFound)
})

func namesOf(items []appsv1.Deployment) []string {
	var names []string
	for _, item := range items {
		names = append(names, item.Name)
	}
	return names
}

var _ = named("reviews", func(w *world) {
	client := w.client()
	access := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: w.namespace, Verb: "create", Resource: "pods"},
	}}
	same("may it", must(client.AuthorizationV1().SelfSubjectAccessReviews().Create(w.ctx, access, metav1.CreateOptions{})).Status.Allowed, true)
	rules := &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: w.namespace}}
	status := must(client.AuthorizationV1().SelfSubjectRulesReviews().Create(w.ctx, rules, metav1.CreateOptions{})).Status
	same("rules", len(status.ResourceRules) > 0, true)
	self := must(client.AuthenticationV1().SelfSubjectReviews().Create(w.ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{}))
	same("it has a name", self.Status.UserInfo.Username != "", true)
	token := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: "nonsense"}}
	same("a wrong token", must(client.AuthenticationV1().TokenReviews().Create(w.ctx, token, metav1.CreateOptions{})).Status.Authenticated, false)
	empty := &authorizationv1.SelfSubjectAccessReview{}
	_, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(w.ctx, empty, metav1.CreateOptions{})
	refused("of nothing", err, apierrors.IsInvalid, "exactly one of nonResourceAttributes or resourceAttributes must be specified")
})
