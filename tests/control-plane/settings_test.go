package main

import (
	"testing"
	"time"
)

func TestSettings(t *testing.T) {
	pod := func(value string) map[string]string { return map[string]string{annotationStart: value} }
	for name, c := range map[string]struct {
		annotations []map[string]string
		want        setting
		fails       bool
	}{
		"none: the default":         {nil, setting{"", 300 * time.Millisecond}, false},
		"a duration":                {[]map[string]string{pod("2s")}, setting{"", 2 * time.Second}, false},
		"a word":                    {[]map[string]string{pod("crash")}, setting{"crash", 300 * time.Millisecond}, false},
		"the pod before namespace":  {[]map[string]string{pod("1s"), pod("never")}, setting{"", time.Second}, false},
		"the namespace":             {[]map[string]string{{}, pod("never")}, setting{"never", 300 * time.Millisecond}, false},
		"nonsense: default, told":   {[]map[string]string{pod("soon")}, setting{"", 300 * time.Millisecond}, true},
		"negative: default, told":   {[]map[string]string{pod("-1s")}, setting{"", 300 * time.Millisecond}, true},
		"a word of another setting": {[]map[string]string{pod("hang")}, setting{"", 300 * time.Millisecond}, true},
	} {
		got, err := settingOf(annotationStart, c.annotations...)
		if got != c.want || (err != nil) != c.fails {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for name := range defaults {
		if _, err := settingOf(name); err != nil {
			t.Error(err)
		}
	}
}
