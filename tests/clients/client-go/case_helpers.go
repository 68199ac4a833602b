// What the cases share.

package main

import (
	"reflect"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// schemaNone is no kind at all: what typed clients leave of it differs.
var schemaNone = schema.GroupVersionKind{}

// newOf is an empty object of the same type.
func newOf(object runtime.Object) runtime.Object {
	return reflect.New(reflect.TypeOf(object).Elem()).Interface().(runtime.Object)
}

// metaOf an object.
func metaOf(object runtime.Object) (metav1.Object, error) {
	return meta.Accessor(object)
}

// itemsOf a list.
func itemsOf(list runtime.Object) ([]runtime.Object, error) {
	return meta.ExtractList(list)
}
