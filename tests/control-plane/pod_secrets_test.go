package main

import (
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// secrets holds one Secret: s, with a=one and b=two.
func secrets(name string) (*core.Secret, error) {
	if name != "s" {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, name)
	}
	return &core.Secret{ObjectMeta: meta.ObjectMeta{Name: "s"}, Data: map[string][]byte{"a": []byte("one"), "b": []byte("two")}}, nil
}

func variable(name, secret, key string, optional bool) core.EnvVar {
	return core.EnvVar{Name: name, ValueFrom: &core.EnvVarSource{SecretKeyRef: &core.SecretKeySelector{
		LocalObjectReference: core.LocalObjectReference{Name: secret}, Key: key, Optional: &optional,
	}}}
}

func all(prefix, secret string, optional bool) core.EnvFromSource {
	return core.EnvFromSource{Prefix: prefix, SecretRef: &core.SecretEnvSource{
		LocalObjectReference: core.LocalObjectReference{Name: secret}, Optional: &optional,
	}}
}

// brief writes source:key=value, where the value is one that d knows.
func brief(d digester, values []held) string {
	known := map[string]string{}
	for _, value := range []string{"one", "two", "redis://one"} {
		known[d.digest([]byte(value))] = value
	}
	var parts []string
	for _, h := range values {
		parts = append(parts, h.Source+":"+h.Key+"="+known[h.Digest])
	}
	return strings.Join(parts, " ")
}

func TestEnvironment(t *testing.T) {
	d := digester{[]byte("salt")}
	for name, c := range map[string]struct {
		container core.Container
		want      string
	}{
		"env":             {core.Container{Env: []core.EnvVar{variable("K", "s", "a", false)}}, "env:K=one"},
		"envFrom, prefix": {core.Container{EnvFrom: []core.EnvFromSource{all("P_", "s", false)}}, "envFrom:P_a=one envFrom:P_b=two"},
		"env over envFrom": {core.Container{
			EnvFrom: []core.EnvFromSource{all("", "s", false)}, Env: []core.EnvVar{variable("a", "s", "b", false), {Name: "b", Value: "plain"}},
		}, "env:a=two"},
		"expansion": {core.Container{
			Env: []core.EnvVar{variable("K", "s", "a", false), {Name: "U", Value: "redis://$(K)"}, {Name: "V", Value: "$$(K) $(X)"}},
		}, "env:K=one expansion:U=redis://one"},
		"absent, optional": {core.Container{
			EnvFrom: []core.EnvFromSource{all("", "none", true)}, Env: []core.EnvVar{variable("K", "none", "a", true), variable("L", "s", "z", true)},
		}, ""},
		"no such secret": {core.Container{Env: []core.EnvVar{variable("K", "none", "a", false)}}, `secret "none" not found`},
		"no such key":    {core.Container{Env: []core.EnvVar{variable("K", "s", "z", false)}}, "couldn't find key z in Secret ns/s"},
		"envFrom absent": {core.Container{EnvFrom: []core.EnvFromSource{all("", "none", false)}}, `secret "none" not found`},
	} {
		values, err := d.environment("ns", &c.container, secrets)
		got := brief(d, values)
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestVolumes(t *testing.T) {
	d := digester{[]byte("salt")}
	secret := func(name string, items ...core.KeyToPath) core.Volume {
		return core.Volume{Name: "v", VolumeSource: core.VolumeSource{Secret: &core.SecretVolumeSource{SecretName: name, Items: items}}}
	}
	projected := core.Volume{Name: "v", VolumeSource: core.VolumeSource{Projected: &core.ProjectedVolumeSource{Sources: []core.VolumeProjection{
		{ServiceAccountToken: &core.ServiceAccountTokenProjection{}},
		{Secret: &core.SecretProjection{LocalObjectReference: core.LocalObjectReference{Name: "s"}, Items: []core.KeyToPath{{Key: "b", Path: "x/b"}}}},
	}}}}
	for name, c := range map[string]struct {
		volume core.Volume
		mount  core.VolumeMount
		want   string
	}{
		"all keys":       {secret("s"), core.VolumeMount{Name: "v"}, "volume:a=one volume:b=two"},
		"items":          {secret("s", core.KeyToPath{Key: "a", Path: "p"}), core.VolumeMount{Name: "v"}, "volume:p=one"},
		"sub path":       {secret("s"), core.VolumeMount{Name: "v", SubPath: "b"}, "volume:b=two"},
		"not mounted":    {secret("s"), core.VolumeMount{Name: "w"}, ""},
		"projected":      {projected, core.VolumeMount{Name: "v"}, "volume:x/b=two"},
		"no such secret": {secret("none"), core.VolumeMount{Name: "v"}, `MountVolume.SetUp failed for volume "v" : secret "none" not found`},
		"no such key":    {secret("s", core.KeyToPath{Key: "z"}), core.VolumeMount{Name: "v"}, `MountVolume.SetUp failed for volume "v" : references non-existent secret key: z`},
	} {
		pod := &core.Pod{Spec: core.PodSpec{Volumes: []core.Volume{c.volume}}}
		volumes, err := d.volumes(pod, secrets)
		got := brief(d, mounted(&core.Container{VolumeMounts: []core.VolumeMount{c.mount}}, volumes))
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
