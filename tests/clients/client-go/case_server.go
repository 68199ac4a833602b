// Cases with a server of their own: it is stopped and started, forgets soon, or speaks TLS.

package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/pager"
	toolswatch "k8s.io/client-go/tools/watch"
)

// own is a server that a case has for itself.
type own struct {
	binary  string
	folder  string
	address string
	scheme  string
	more    []string
	command *exec.Cmd
}

// start a server, with these words besides.
func start(w *world, more ...string) *own {
	if w.binary == "" {
		fail("this case needs --binary")
	}
	o := &own{binary: w.binary, folder: must(os.MkdirTemp("", "client-go-")), address: "127.0.0.1:0", scheme: "http", more: more}
	o.up()
	return o
}

// up starts it, where it was before.
func (o *own) up() {
	words := append([]string{"--listen", o.address, "--data-dir", filepath.Join(o.folder, "data")}, o.more...)
	o.command = exec.Command(o.binary, words...)
	log := must(os.OpenFile(filepath.Join(o.folder, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600))
	defer log.Close()
	o.command.Stderr = log
	out := must(o.command.StdoutPipe())
	fine(o.command.Start())
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, rest, ok := strings.Cut(lines.Text(), "listening on "); ok {
			o.scheme, o.address, _ = strings.Cut(rest, "://")
		}
		if strings.HasPrefix(lines.Text(), "try: ") {
			go func() {
				for lines.Scan() {
				}
			}()
			return
		}
	}
	text, _ := os.ReadFile(filepath.Join(o.folder, "log"))
	fail("the server does not start: %s", text)
}

// down ends it, as it is told to stop or as it crashes.
func (o *own) down(signal os.Signal) {
	fine(o.command.Process.Signal(signal))
	_ = o.command.Wait()
}

// end it for good.
func (o *own) end() {
	_ = o.command.Process.Kill()
	_ = o.command.Wait()
	_ = os.RemoveAll(o.folder)
}

func (o *own) config() *rest.Config {
	return jsonOnly(&rest.Config{Host: o.scheme + "://" + o.address, QPS: 1000, Burst: 1000})
}

var _ = named("informers-through-a-restart", func(w *world) {
	informersThroughARestart(w, runtime.ContentTypeJSON)
})

var _ = named("protobuf-informers-through-a-restart", func(w *world) {
	informersThroughARestart(w, protobuf)
})

func informersThroughARestart(w *world, kind string) {
	server := start(w)
	defer server.end()
	config := server.config()
	config.ContentType, config.AcceptContentTypes = kind, kind+",application/json"
	client := must(kubernetes.NewForConfig(config))
	maps := client.CoreV1().ConfigMaps("default")
	for n := range 20 {
		must(maps.Create(w.ctx, configMap(fmt.Sprintf("c%d", n), nil), metav1.CreateOptions{}))
	}
	// Two informers of the same kind share one watch; one of another kind.
	factory := informers.NewSharedInformerFactory(client, 0)
	informer := factory.Core().V1().ConfigMaps().Informer()
	factory.Core().V1().Pods().Informer()
	var lock sync.Mutex
	added, deleted := map[string]int{}, map[string]int{}
	must(informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(o any) {
			lock.Lock()
			defer lock.Unlock()
			added[o.(*corev1.ConfigMap).Name]++
		},
		DeleteFunc: func(o any) {
			lock.Lock()
			defer lock.Unlock()
			name, _ := cache.DeletionHandlingMetaNamespaceKeyFunc(o)
			deleted[strings.TrimPrefix(name, "default/")]++
		},
	}))
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())

	agrees := func() error {
		list, err := maps.List(w.ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		there := map[string]string{}
		for _, item := range list.Items {
			there[item.Name] = item.ResourceVersion
		}
		known := map[string]string{}
		for _, item := range informer.GetStore().List() {
			known[item.(*corev1.ConfigMap).Name] = item.(*corev1.ConfigMap).ResourceVersion
		}
		if fmt.Sprint(there) != fmt.Sprint(known) {
			return fmt.Errorf("there is %v and known is %v", there, known)
		}
		return nil
	}
	for round, signal := range []os.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		before := must(maps.Get(w.ctx, "c1", metav1.GetOptions{}))
		server.down(signal)
		server.up()
		eventually("the server is back", func() error {
			_, err := maps.Get(w.ctx, "c1", metav1.GetOptions{})
			return err
		})
		same("what was there", must(maps.Get(w.ctx, "c1", metav1.GetOptions{})), before)
		must(maps.Create(w.ctx, configMap(fmt.Sprintf("new%d", round), nil), metav1.CreateOptions{}))
		before.Data = map[string]string{"round": fmt.Sprint(round)}
		must(maps.Update(w.ctx, before, metav1.UpdateOptions{}))
		fine(maps.Delete(w.ctx, fmt.Sprintf("c%d", 10+round), metav1.DeleteOptions{}))
		eventually("the informer catches up", agrees)
	}
	lock.Lock()
	defer lock.Unlock()
	same("added twice, or not at all", fmt.Sprint(len(added), added["c1"], added["new0"], added["new1"]), "22 1 1 1")
	same("deleted", deleted, map[string]int{"c10": 1, "c11": 1})
}

var _ = named("a-watch-through-a-restart", func(w *world) {
	server := start(w)
	defer server.end()
	client := must(kubernetes.NewForConfig(server.config()))
	maps := client.CoreV1().ConfigMaps("default")
	made := must(maps.Create(w.ctx, configMap("c", nil), metav1.CreateOptions{}))
	source := &cache.ListWatch{WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (apiwatch.Interface, error) {
		options.FieldSelector = fields.OneTermEqualSelector("metadata.name", "c").String()
		return maps.Watch(ctx, options)
	}}
	watching := must(toolswatch.NewRetryWatcherWithContext(w.ctx, made.ResourceVersion, source))
	defer watching.Stop()
	for n := range 12 {
		if n%4 == 2 {
			server.down(syscall.SIGTERM)
			server.up()
		}
		eventually("a write", func() error {
			made.Data = map[string]string{"n": fmt.Sprint(n)}
			after, err := maps.Update(w.ctx, made, metav1.UpdateOptions{})
			if err == nil {
				made = after
			}
			return err
		})
	}
	for n := range 12 {
		same("each change, in order", next(w.ctx, watching, apiwatch.Modified).(*corev1.ConfigMap).Data["n"], fmt.Sprint(n))
	}
})

var _ = named("what-has-expired", func(w *world) {
	server := start(w, "--retention", "1s")
	defer server.end()
	client := must(kubernetes.NewForConfig(server.config()))
	maps := client.CoreV1().ConfigMaps("default")
	for n := range 9 {
		must(maps.Create(w.ctx, configMap(fmt.Sprintf("c%d", n), nil), metav1.CreateOptions{}))
	}
	first := must(maps.List(w.ctx, metav1.ListOptions{Limit: 3}))
	write := func() {
		read := must(maps.Get(w.ctx, "c0", metav1.GetOptions{}))
		read.Data = map[string]string{"at": time.Now().String()}
		must(maps.Update(w.ctx, read, metav1.UpdateOptions{}))
	}
	var err error
	eventually("the token expires", func() error {
		write()
		if _, err = maps.List(w.ctx, metav1.ListOptions{Limit: 3, Continue: first.Continue}); err == nil {
			return fmt.Errorf("it has not")
		}
		return nil
	})
	refused("the next page", err, apierrors.IsResourceExpired, "The provided continue parameter is too old to display a consistent list result")
	status := err.(apierrors.APIStatus).Status()
	rest := must(maps.List(w.ctx, metav1.ListOptions{Limit: 3, Continue: status.Continue}))
	same("it goes on from there", rest.Items[0].Name, "c3")
	// A pager lists all again.
	pages := 0
	list, _, err := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		pages++
		if pages == 2 {
			options.Continue = first.Continue
		}
		return maps.List(ctx, options)
	}).List(w.ctx, metav1.ListOptions{Limit: 3})
	fine(err)
	same("items", len(must(itemsOf(list))), 9)
	// A watch from too long ago: what is in memory goes further back than what is promised, until a restart.
	raw := client.CoreV1().RESTClient()
	cut := func() error {
		page := string(must(raw.Get().AbsPath("/metrics").Do(w.ctx).Raw()))
		_, after, _ := strings.Cut(page, "\nk8shost_truncations_total ")
		count, _, _ := strings.Cut(after, "\n")
		// That of the system and that of the default tenant.
		if times, err := strconv.Atoi(count); err != nil || times < 2 {
			return fmt.Errorf("it was cut %s times", count)
		}
		return nil
	}
	eventually("the revision expires", func() error {
		write()
		eventually("the log is cut", cut)
		server.down(syscall.SIGTERM)
		server.up()
		watching, problem := maps.Watch(w.ctx, metav1.ListOptions{ResourceVersion: first.ResourceVersion})
		if err = problem; err != nil {
			return nil
		}
		defer watching.Stop()
		event := <-watching.ResultChan()
		if event.Type != apiwatch.Error {
			return fmt.Errorf("it has not: %s", event.Type)
		}
		err = apierrors.FromObject(event.Object)
		return nil
	})
	refused("the watch", err, func(err error) bool { return apierrors.IsResourceExpired(err) || apierrors.IsGone(err) }, "too old resource version")
})

// certificate for 127.0.0.1, signed by itself: its and its key's PEM.
func certificate(name string) ([]byte, []byte) {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))
	secret := must(x509.MarshalPKCS8PrivateKey(key))
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
}

var _ = named("tls", func(w *world) {
	folder := must(os.MkdirTemp("", "client-go-tls-"))
	defer os.RemoveAll(folder)
	certFile, keyFile := filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	write := func(name string) []byte {
		cert, key := certificate(name)
		fine(os.WriteFile(keyFile, key, 0o600))
		fine(os.WriteFile(certFile, cert, 0o600))
		return cert
	}
	first := write("first")
	server := start(w, "--tls-cert", certFile, "--tls-key", keyFile)
	defer server.end()
	get := func(authority []byte) (*seen, error) {
		config := server.config()
		config.Host = "https://" + server.address
		config.CAData = authority
		passed := watch(config)
		_, err := must(kubernetes.NewForConfig(config)).CoreV1().Namespaces().Get(w.ctx, "default", metav1.GetOptions{})
		return passed, err
	}
	same("the protocol", must(get(first)).protocol, "HTTP/2.0")
	stranger, _ := certificate("stranger")
	_, err := get(stranger)
	has(fmt.Sprint(err), "certificate signed by unknown authority")
	// New files are taken without a restart.
	second := write("second")
	eventually("the second certificate", func() error {
		_, err := get(second)
		return err
	})
})
