// What programs written with client-go do with a Kubernetes API, case by case.
//
//	client-go --server URL [--binary PATH] [CASE …]
//
// URL is an API root, such as http://127.0.0.1:6443/orgs/acme/projects/web. The cases that need a server
// of their own, to stop and start it, start PATH, the server's program. Each case has a namespace of its
// own, and plays the controllers and kubelets that it needs. A line is printed for each, and the exit
// status is 1 if one has failed. CASE is a name, or the beginning of one.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
)

const protobuf = "application/vnd.kubernetes.protobuf"

// A test case, by its name.
type namedCase struct {
	name string
	run  func(*world)
}

var cases []namedCase

// named makes a function a case.
func named(name string, run func(*world)) bool {
	cases = append(cases, namedCase{name, run})
	return true
}

// world is what a case has.
type world struct {
	ctx       context.Context
	server    string
	binary    string
	namespace string
}

// failure is what ends a case.
type failure string

// fail ends the case.
func fail(format string, words ...any) {
	panic(failure(fmt.Sprintf(format, words...)))
}

// must ends the case if there is an error.
func must[T any](value T, err error) T {
	if err != nil {
		fail("%T: %v", err, err)
	}
	return value
}

// fine ends the case if there is an error.
func fine(err error) {
	must(0, err)
}

// same ends the case if two values are not equal.
func same(what string, found, expected any) {
	if !reflect.DeepEqual(found, expected) {
		fail("%s: expected\n%+v\nbut it is\n%+v", what, expected, found)
	}
}

// has ends the case if a text does not have these words.
func has(text string, words ...string) {
	for _, word := range words {
		if !strings.Contains(text, word) {
			fail("%q is not in: %s", word, text)
		}
	}
}

// eventually waits until a check returns nothing.
func eventually(what string, check func() error) {
	end := time.Now().Add(30 * time.Second)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			fail("%s: %v", what, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// config of a client of JSON: typed clients speak protobuf unless told otherwise.
func (w *world) config() *rest.Config {
	return jsonOnly(&rest.Config{Host: w.server, QPS: 1000, Burst: 1000, UserAgent: "tester/v1"})
}

func jsonOnly(config *rest.Config) *rest.Config {
	config.ContentType = runtime.ContentTypeJSON
	return config
}

// protobufConfig is that of a client of protobuf, for built-in kinds.
func (w *world) protobufConfig() *rest.Config {
	config := w.config()
	config.ContentType = protobuf
	config.AcceptContentTypes = protobuf + ",application/json"
	return config
}

func (w *world) client() *kubernetes.Clientset {
	return must(kubernetes.NewForConfig(w.config()))
}

func (w *world) dynamic() *dynamic.DynamicClient {
	return must(dynamic.NewForConfig(w.config()))
}

// seen is a transport that notes what passes.
type seen struct {
	sync.Mutex
	next     http.RoundTripper
	requests []string
	types    []string
	zipped   int
	protocol string
}

// watch adds the transport to a config.
func watch(config *rest.Config) *seen {
	s := &seen{}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		s.next = next
		return s
	})
	return s
}

// RoundTrip sends a request on.
func (s *seen) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := s.next.RoundTrip(request)
	s.Lock()
	defer s.Unlock()
	s.requests = append(s.requests, request.Method+" "+request.URL.RequestURI())
	if err == nil {
		s.types = append(s.types, response.Header.Get("Content-Type"))
		s.protocol = response.Proto
		if response.Uncompressed {
			s.zipped++
		}
	}
	return response, err
}

// all that was asked for.
func (s *seen) all() []string {
	s.Lock()
	defer s.Unlock()
	return append([]string{}, s.requests...)
}

func main() {
	server := flag.String("server", "", "an API root")
	binary := flag.String("binary", "", "the server's program")
	list := flag.Bool("list", false, "print the names of the cases")
	flag.Parse()
	// What client-go itself has to say, and warnings, which one case looks at.
	klog.SetLogger(klog.New(nil))
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	wanted := func(name string) bool {
		for _, arg := range flag.Args() {
			if strings.HasPrefix(name, arg) {
				return true
			}
		}
		return flag.NArg() == 0
	}
	passed, failed := 0, 0
	for n, c := range cases {
		if !wanted(c.name) {
			continue
		}
		if *list {
			fmt.Println(c.name)
			continue
		}
		begun := time.Now()
		w := &world{server: *server, binary: *binary}
		w.namespace = fmt.Sprintf("%s-go-%d-%d", c.name, begun.UnixMilli()%10_000_000, n)
		if problem := w.run(c); problem != "" {
			failed++
			fmt.Printf("FAIL  %s: %s\n", c.name, strings.ReplaceAll(problem, "\n", "\n      "))
		} else {
			passed++
			fmt.Printf("ok    %s (%.1f s)\n", c.name, time.Since(begun).Seconds())
		}
	}
	if *list {
		return
	}
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 || passed == 0 {
		os.Exit(1)
	}
}

// run a case: what is wrong, or nothing.
func (w *world) run(c namedCase) (problem string) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			problem = fmt.Sprintf("%v\n%s", r, place())
		}
	}()
	w.ctx = ctx
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}
	must(w.client().CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}))
	c.run(w)
	return ""
}

// place is where in the cases a failure was.
func place() string {
	for _, line := range strings.Split(string(debug.Stack()), "\n") {
		if strings.Contains(line, "client-go/case_") {
			file, _, _ := strings.Cut(strings.TrimSpace(line[strings.LastIndex(line, "case_"):]), " ")
			return "at " + file
		}
	}
	return ""
}
