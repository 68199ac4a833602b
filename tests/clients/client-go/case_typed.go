// Typed clients, over protobuf and JSON.

package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"
)

func header(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}}
}

func podSpec() corev1.PodSpec {
	return corev1.PodSpec{Containers: []corev1.Container{{
		Name:  "c",
		Image: "nginx:1.27",
		Ports: []corev1.ContainerPort{{ContainerPort: 80}},
		Env:   []corev1.EnvVar{{Name: "A", Value: "é"}},
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{"cpu": resource.MustParse("250m"), "memory": resource.MustParse("64Mi")},
		},
		ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{
			HTTPGet: &corev1.HTTPGetAction{Path: "/", Port: intstr.FromString("web")},
		}},
	}}}
}

func podOf(name string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: header(name), Spec: podSpec()}
}

func selector(name string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}
}

func deploymentOf(name string, replicas int32) *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: header(name),
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: selector(name),
			Template: corev1.PodTemplateSpec{ObjectMeta: header(name), Spec: podSpec()},
		},
	}
}

func configMap(name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: header(name), Data: data}
}

// The objects of each kind that are written over protobuf and read back both ways.
func objects() map[string]runtime.Object {
	number := int32(2)
	number64 := int64(3600)
	half := intstr.FromString("50%")
	one := intstr.FromInt32(1)
	now := metav1.NewTime(time.Unix(1_767_323_045, 0))
	micro := metav1.NewMicroTime(time.Unix(1_767_323_045, 123_456_000))
	jobSpec := podSpec()
	jobSpec.RestartPolicy = corev1.RestartPolicyNever
	prefix := networkingv1.PathTypePrefix
	tcp := corev1.ProtocolTCP
	yes := true
	port := int32(80)
	return map[string]runtime.Object{
		"pods":        podOf("x"),
		"services":    &corev1.Service{ObjectMeta: header("x"), Spec: corev1.ServiceSpec{Selector: map[string]string{"a": "b"}, Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromString("web")}}}},
		"configmaps":  &corev1.ConfigMap{ObjectMeta: header("x"), Data: map[string]string{"a": "1"}, BinaryData: map[string][]byte{"b": {0, 255, 1}}},
		"secrets":     &corev1.Secret{ObjectMeta: header("x"), StringData: map[string]string{"a": "b"}, Data: map[string][]byte{"c": {200, 0}}},
		"events":      &corev1.Event{ObjectMeta: metav1.ObjectMeta{Name: "x"}, Reason: "R", Message: "m", Type: "Normal", FirstTimestamp: now, LastTimestamp: now, Count: 3},
		"deployments": deploymentOf("x", 2),
		"statefulsets": &appsv1.StatefulSet{ObjectMeta: header("x"), Spec: appsv1.StatefulSetSpec{Replicas: &number, Selector: selector("x"), ServiceName: "x",
			Template: corev1.PodTemplateSpec{ObjectMeta: header("x"), Spec: podSpec()},
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}, Spec: corev1.PersistentVolumeClaimSpec{AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
				Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{"storage": resource.MustParse("1Gi")}}}}}}},
		"controllerrevisions":      &appsv1.ControllerRevision{ObjectMeta: header("x"), Revision: 4, Data: runtime.RawExtension{Raw: []byte(`{"a":[1,"b"]}`)}},
		"jobs":                     &batchv1.Job{ObjectMeta: header("x"), Spec: batchv1.JobSpec{ActiveDeadlineSeconds: &number64, Template: corev1.PodTemplateSpec{Spec: jobSpec}}},
		"cronjobs":                 &batchv1.CronJob{ObjectMeta: header("x"), Spec: batchv1.CronJobSpec{Schedule: "*/5 * * * *", Suspend: &yes, JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: jobSpec}}}}},
		"leases":                   &coordinationv1.Lease{ObjectMeta: header("x"), Spec: coordinationv1.LeaseSpec{LeaseDurationSeconds: &number, RenewTime: &micro}},
		"endpointslices":           &discoveryv1.EndpointSlice{ObjectMeta: header("x"), AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}}}, Ports: []discoveryv1.EndpointPort{{Port: &port}}},
		"ingresses":                &networkingv1.Ingress{ObjectMeta: header("x"), Spec: networkingv1.IngressSpec{Rules: []networkingv1.IngressRule{{Host: "a.example.com", IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{{Path: "/", PathType: &prefix, Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: "s", Port: networkingv1.ServiceBackendPort{Number: 80}}}}}}}}}}},
		"networkpolicies":          &networkingv1.NetworkPolicy{ObjectMeta: header("x"), Spec: networkingv1.NetworkPolicySpec{Ingress: []networkingv1.NetworkPolicyIngressRule{{Ports: []networkingv1.NetworkPolicyPort{{Protocol: &tcp, Port: &one}}}}}},
		"poddisruptionbudgets":     &policyv1.PodDisruptionBudget{ObjectMeta: header("x"), Spec: policyv1.PodDisruptionBudgetSpec{MinAvailable: &half, Selector: selector("x")}},
		"horizontalpodautoscalers": &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: header("x"), Spec: autoscalingv2.HorizontalPodAutoscalerSpec{MaxReplicas: 4, ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{Kind: "Deployment", Name: "x", APIVersion: "apps/v1"}}},
		"roles":                    &rbacv1.Role{ObjectMeta: header("x"), Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get"}}}},
	}
}

// clientFor is the client of an object's group, of all that a set has.
func clientFor(set *kubernetes.Clientset, object runtime.Object) rest.Interface {
	kinds, _, err := scheme.Scheme.ObjectKinds(object)
	fine(err)
	switch kinds[0].Group {
	case "":
		return set.CoreV1().RESTClient()
	case "apps":
		return set.AppsV1().RESTClient()
	case "batch":
		return set.BatchV1().RESTClient()
	case "coordination.k8s.io":
		return set.CoordinationV1().RESTClient()
	case "discovery.k8s.io":
		return set.DiscoveryV1().RESTClient()
	case "networking.k8s.io":
		return set.NetworkingV1().RESTClient()
	case "policy":
		return set.PolicyV1().RESTClient()
	case "autoscaling":
		return set.AutoscalingV2().RESTClient()
	case "rbac.authorization.k8s.io":
		return set.RbacV1().RESTClient()
	}
	fail("no client for %v", kinds[0])
	return nil
}

var _ = named("protobuf-for-each-kind", func(w *world) {
	config := w.protobufConfig()
	passed := watch(config)
	binary := must(kubernetes.NewForConfig(config))
	text := w.client()
	for plural, object := range objects() {
		if event, ok := object.(*corev1.Event); ok {
			event.InvolvedObject.Namespace = w.namespace
		}
		client := clientFor(binary, object)
		made := object.DeepCopyObject()
		fine(client.Post().Namespace(w.namespace).Resource(plural).Body(object).Do(w.ctx).Into(made))
		name := must(metaOf(made)).GetName()
		viaBinary, viaText := newOf(object), newOf(object)
		fine(client.Get().Namespace(w.namespace).Resource(plural).Name(name).Do(w.ctx).Into(viaBinary))
		fine(clientFor(text, object).Get().Namespace(w.namespace).Resource(plural).Name(name).Do(w.ctx).Into(viaText))
		for _, one := range []runtime.Object{made, viaBinary, viaText} {
			one.GetObjectKind().SetGroupVersionKind(schemaNone)
			// Kinds are not part of protobuf, so those inside of objects are in JSON alone.
			if set, ok := one.(*appsv1.StatefulSet); ok {
				for n := range set.Spec.VolumeClaimTemplates {
					set.Spec.VolumeClaimTemplates[n].TypeMeta = metav1.TypeMeta{}
				}
			}
		}
		if !equality.Semantic.DeepEqual(viaBinary, viaText) {
			fail("%s: protobuf has\n%+v\nand JSON\n%+v", plural, viaBinary, viaText)
		}
		if !equality.Semantic.DeepEqual(made, viaText) {
			fail("%s: what was made is\n%+v\nand what is there\n%+v", plural, made, viaText)
		}
		// An update with what was read changes nothing.
		again := newOf(object)
		fine(client.Put().Namespace(w.namespace).Resource(plural).Name(name).Body(viaBinary).Do(w.ctx).Into(again))
		same(plural+" after an update", must(metaOf(again)).GetResourceVersion(), must(metaOf(viaBinary)).GetResourceVersion())
		list := must(client.Get().Namespace(w.namespace).Resource(plural).Do(w.ctx).Raw())
		same(plural+" list begins with", string(list[:4]), "k8s\x00")
	}
	for n, kind := range passed.types {
		same("the type of the answer to "+passed.requests[n], strings.HasPrefix(kind, protobuf), true)
	}
})

var _ = named("protobuf-updates-and-errors", func(w *world) {
	client := must(kubernetes.NewForConfig(w.protobufConfig()))
	deployments := client.AppsV1().Deployments(w.namespace)
	made := must(deployments.Create(w.ctx, deploymentOf("web", 2), metav1.CreateOptions{}))
	same("the strategy", made.Spec.Strategy.RollingUpdate.MaxSurge.String(), "25%")
	*made.Spec.Replicas = 4
	changed := must(deployments.Update(w.ctx, made, metav1.UpdateOptions{}))
	same("generation", changed.Generation, int64(2))
	changed.Status.ObservedGeneration = 2
	changed.Status.Replicas = 4
	after := must(deployments.UpdateStatus(w.ctx, changed, metav1.UpdateOptions{}))
	same("status.replicas", after.Status.Replicas, int32(4))
	_, err := deployments.Update(w.ctx, made, metav1.UpdateOptions{})
	has(fmt.Sprint(err), `Operation cannot be fulfilled on deployments.apps "web": the object has been modified; please apply your changes to the latest version and try again`)
	patch := []byte(`{"spec":{"template":{"spec":{"containers":[{"name":"c","image":"nginx:1.28"}]}}}}`)
	patched := must(deployments.Patch(w.ctx, "web", types.StrategicMergePatchType, patch, metav1.PatchOptions{}))
	same("image", patched.Spec.Template.Spec.Containers[0].Image, "nginx:1.28")
	fine(deployments.Delete(w.ctx, "web", *metav1.NewPreconditionDeleteOptions(string(patched.UID))))
})

var _ = named("protobuf-watch", func(w *world) {
	client := must(kubernetes.NewForConfig(w.protobufConfig()))
	pods := client.CoreV1().Pods(w.namespace)
	list := must(pods.List(w.ctx, metav1.ListOptions{}))
	watching := must(pods.Watch(w.ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion, LabelSelector: "app=web"}))
	defer watching.Stop()
	must(pods.Create(w.ctx, podOf("other"), metav1.CreateOptions{}))
	must(pods.Create(w.ctx, podOf("web"), metav1.CreateOptions{}))
	made := next(w.ctx, watching, apiwatch.Added).(*corev1.Pod)
	made.Status.Phase = corev1.PodRunning
	must(pods.UpdateStatus(w.ctx, made, metav1.UpdateOptions{}))
	changed := next(w.ctx, watching, apiwatch.Modified).(*corev1.Pod)
	same("phase", changed.Status.Phase, corev1.PodRunning)
	fine(pods.Delete(w.ctx, "web", metav1.DeleteOptions{}))
	gone := <-watching.ResultChan()
	for gone.Type == apiwatch.Modified && gone.Object.(*corev1.Pod).DeletionTimestamp != nil {
		gone = <-watching.ResultChan()
	}
	same("the last event", gone.Type, apiwatch.Deleted)
	same("the last name", gone.Object.(*corev1.Pod).Name, "web")
})

// next event of a watch, which must be of this type.
func next(ctx context.Context, watching apiwatch.Interface, wanted apiwatch.EventType) runtime.Object {
	select {
	case event, open := <-watching.ResultChan():
		if !open {
			fail("the watch has ended, where %s was expected", wanted)
		}
		if event.Type != wanted {
			fail("%s was expected, not %s %+v", wanted, event.Type, event.Object)
		}
		return event.Object
	case <-time.After(30 * time.Second):
		fail("no event, where %s was expected", wanted)
	case <-ctx.Done():
		fail("no event, where %s was expected", wanted)
	}
	return nil
}

var _ = named("retry-on-conflict", func(w *world) {
	maps := w.client().CoreV1().ConfigMaps(w.namespace)
	must(maps.Create(w.ctx, configMap("count", map[string]string{"n": ""}), metav1.CreateOptions{}))
	var group sync.WaitGroup
	problems := make(chan error, 8)
	for range 8 {
		group.Go(func() {
			for range 5 {
				again := retry.DefaultRetry
				again.Steps = 200
				problems <- retry.RetryOnConflict(again, func() error {
					read, err := maps.Get(w.ctx, "count", metav1.GetOptions{})
					if err != nil {
						return err
					}
					read.Data["n"] += "x"
					_, err = maps.Update(w.ctx, read, metav1.UpdateOptions{})
					return err
				})
			}
		})
	}
	go func() {
		group.Wait()
		close(problems)
	}()
	for err := range problems {
		fine(err)
	}
	read := must(maps.Get(w.ctx, "count", metav1.GetOptions{}))
	same("what all have added", len(read.Data["n"]), 40)
})

var _ = named("subresources", func(w *world) {
	core := w.client().CoreV1()
	pods := core.Pods(w.namespace)
	made := must(pods.Create(w.ctx, podOf("web"), metav1.CreateOptions{}))
	binding := &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Target: corev1.ObjectReference{Kind: "Node", Name: "far"}}
	fine(pods.Bind(w.ctx, binding, metav1.CreateOptions{}))
	made = must(pods.Get(w.ctx, "web", metav1.GetOptions{}))
	same("the node", made.Spec.NodeName, "far")
	made.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debugger", Image: "busybox"}}}
	made = must(pods.UpdateEphemeralContainers(w.ctx, "web", made, metav1.UpdateOptions{}))
	same("its containers", len(made.Spec.EphemeralContainers), 1)
	made.Status.Phase = corev1.PodRunning
	made = must(pods.UpdateStatus(w.ctx, made, metav1.UpdateOptions{}))
	made.Spec.Containers[0].Resources.Requests["cpu"] = resource.MustParse("500m")
	made = must(pods.UpdateResize(w.ctx, "web", made, metav1.UpdateOptions{}))
	same("cpu", made.Spec.Containers[0].Resources.Requests.Cpu().String(), "500m")
	inProtobuf := must(kubernetes.NewForConfig(w.protobufConfig()))
	accounts := inProtobuf.CoreV1().ServiceAccounts(w.namespace)
	must(accounts.Create(w.ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot"}}, metav1.CreateOptions{}))
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{"a"}}}
	given := must(accounts.CreateToken(w.ctx, "robot", request, metav1.CreateOptions{}))
	same("how long it is good", *given.Spec.ExpirationSeconds, int64(3600))
	reviews := inProtobuf.AuthenticationV1().TokenReviews()
	review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: given.Status.Token, Audiences: []string{"a"}}}
	review = must(reviews.Create(w.ctx, review, metav1.CreateOptions{}))
	same("whose it is", review.Status.User.Username, "system:serviceaccount:"+w.namespace+":robot")
	same("for whom it is", review.Status.Audiences, []string{"a"})
})
