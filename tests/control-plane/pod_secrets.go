// What a container gets from Secrets: the environment variables and files that a kubelet would make, as digests of their values.

package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/kubernetes/third_party/forked/golang/expansion"
)

// held is one value that came from a Secret into a container.
type held struct {
	Container string `json:"container"`
	// Source is env, envFrom, expansion (a variable with another one's value in it) or volume.
	Source string `json:"source"`
	// Key is the variable's name, or the file's path under its mount.
	Key string `json:"key"`
	// Secret and SecretKey say where it came from; an expansion names none.
	Secret    string `json:"secret,omitempty"`
	SecretKey string `json:"secretKey,omitempty"`
	Digest    string `json:"digest"`
}

// digester turns values into what may be told: equal digests, equal values, in this run only.
type digester struct{ salt []byte }

func (d digester) digest(value []byte) string {
	mac := hmac.New(sha256.New, d.salt)
	mac.Write(value)
	return hex.EncodeToString(mac.Sum(nil))
}

// read gets a Secret of the pod's namespace.
type read func(name string) (*core.Secret, error)

// missing is a Secret or a key without which a container does not start, in the kubelet's words.
type missing struct{ text string }

func (m missing) Error() string { return m.text }

// environment answers what the variables of a container hold. The order is the kubelet's: envFrom, then env, the later wins.
func (d digester) environment(namespace string, container *core.Container, get read) ([]held, error) {
	values := map[string]string{}
	from := map[string]held{}
	set := func(source, key, secret, secretKey string, value []byte) {
		values[key] = string(value)
		from[key] = held{container.Name, source, key, secret, secretKey, d.digest(value)}
	}
	for _, source := range container.EnvFrom {
		if source.SecretRef == nil {
			continue
		}
		secret, err := optional(source.SecretRef.Name, source.SecretRef.Optional, get)
		if err != nil {
			return nil, err
		}
		if secret == nil {
			continue
		}
		for key, value := range secret.Data {
			set("envFrom", source.Prefix+key, secret.Name, key, value)
		}
	}
	for _, variable := range container.Env {
		// Whatever it is, it replaces one of the same name.
		delete(from, variable.Name)
		delete(values, variable.Name)
		if variable.ValueFrom == nil {
			text, secretInside := expand(variable.Value, values, from)
			values[variable.Name] = text
			if secretInside {
				set("expansion", variable.Name, "", "", []byte(text))
			}
			continue
		}
		reference := variable.ValueFrom.SecretKeyRef
		if reference == nil {
			continue
		}
		secret, err := optional(reference.Name, reference.Optional, get)
		if err != nil {
			return nil, err
		}
		if secret == nil {
			continue
		}
		value, there := secret.Data[reference.Key]
		if !there && !isTrue(reference.Optional) {
			return nil, missing{fmt.Sprintf("couldn't find key %s in Secret %s/%s", reference.Key, namespace, reference.Name)}
		}
		if there {
			set("env", variable.Name, secret.Name, reference.Key, value)
		}
	}
	return sorted(from), nil
}

// expand replaces $(NAME), and says whether a value from a Secret went into the result.
func expand(text string, values map[string]string, from map[string]held) (result string, secretInside bool) {
	lookup := expansion.MappingFuncFor(values)
	return expansion.Expand(text, func(name string) string {
		if _, there := from[name]; there {
			secretInside = true
		}
		return lookup(name)
	}), secretInside
}

// volumes answers what the files from Secrets hold, by the name of the volume.
func (d digester) volumes(pod *core.Pod, get read) (map[string][]held, error) {
	all := map[string][]held{}
	for i := range pod.Spec.Volumes {
		volume := &pod.Spec.Volumes[i]
		for _, source := range secretSources(volume) {
			secret, err := optional(source.Name, source.Optional, get)
			if err == nil && secret != nil {
				var files []held
				files, err = d.files(pod.Namespace, secret, source)
				all[volume.Name] = append(all[volume.Name], files...)
			}
			if err != nil {
				return nil, missing{fmt.Sprintf("MountVolume.SetUp failed for volume %q : %v", volume.Name, err)}
			}
		}
	}
	return all, nil
}

// secretSources lists the Secrets of a volume, a projected one's included.
func secretSources(volume *core.Volume) []core.SecretProjection {
	if secret := volume.Secret; secret != nil {
		return []core.SecretProjection{{
			LocalObjectReference: core.LocalObjectReference{Name: secret.SecretName}, Items: secret.Items, Optional: secret.Optional,
		}}
	}
	var sources []core.SecretProjection
	if volume.Projected != nil {
		for _, source := range volume.Projected.Sources {
			if source.Secret != nil {
				sources = append(sources, *source.Secret)
			}
		}
	}
	return sources
}

// files answers what one source puts into a volume: all keys, or those that are named.
func (d digester) files(namespace string, secret *core.Secret, source core.SecretProjection) ([]held, error) {
	var files []held
	add := func(path, key string) {
		files = append(files, held{"", "volume", path, secret.Name, key, d.digest(secret.Data[key])})
	}
	for _, item := range source.Items {
		if _, there := secret.Data[item.Key]; there {
			add(item.Path, item.Key)
		} else if !isTrue(source.Optional) {
			return nil, fmt.Errorf("references non-existent secret key: %s", item.Key)
		}
	}
	if len(source.Items) == 0 {
		for key := range secret.Data {
			add(key, key)
		}
	}
	slices.SortFunc(files, byKey)
	return files, nil
}

// mounted picks the files that a container sees.
func mounted(container *core.Container, volumes map[string][]held) []held {
	var files []held
	for _, mount := range container.VolumeMounts {
		for _, file := range volumes[mount.Name] {
			if mount.SubPath == "" || mount.SubPath == file.Key {
				file.Container = container.Name
				files = append(files, file)
			}
		}
	}
	return files
}

// optional reads a Secret; where it may be absent, absence is nil.
func optional(name string, mayBeAbsent *bool, get read) (*core.Secret, error) {
	secret, err := get(name)
	if apierrors.IsNotFound(err) {
		if isTrue(mayBeAbsent) {
			return nil, nil
		}
		return nil, missing{fmt.Sprintf("secret %q not found", name)}
	}
	return secret, err
}

func isTrue(b *bool) bool { return b != nil && *b }

func sorted(from map[string]held) []held {
	all := make([]held, 0, len(from))
	for _, one := range from {
		all = append(all, one)
	}
	slices.SortFunc(all, byKey)
	return all
}

func byKey(a, b held) int {
	if a.Key < b.Key {
		return -1
	}
	if a.Key > b.Key {
		return 1
	}
	return 0
}
