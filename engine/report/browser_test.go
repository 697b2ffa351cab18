package report

import (
	"context"
	_ "embed"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

const demandBrowser = "KINFRA_DEMAND_BROWSER"

var screenshots = flag.String("screenshots", "", "a directory for pictures of the page as the browser shows it")

//go:embed testdata/look.js
var look string

// looked is what testdata/look.js finds on a page.
type looked struct {
	Scroll    int      `json:"scroll"`    // how wide the page is
	Width     int      `json:"width"`     // how wide its window is
	Wide      []string `json:"wide"`      // what reaches over the window's edge and doesn't scroll by itself
	Failures  int      `json:"failures"`  // that are shown
	Hidden    []string `json:"hidden"`    // failures that are folded or not to be seen
	Faint     []string `json:"faint"`     // texts with too little contrast
	Texts     int      `json:"texts"`     // whose contrast was computed
	Summaries int      `json:"summaries"` // those that can be seen
	Left      int      `json:"left"`      // steps to be seen that passed, when those are to be left out
	Clipped   []string `json:"clipped"`   // names of steps of which a part can't be seen
	Names     int      `json:"names"`     // of steps, that were looked at
	Apart     []string `json:"apart"`     // pieces of the timeline that don't stand below its axis
	Folded    int      `json:"folded"`    // steps to be seen
	Unfolded  int      `json:"unfolded"`  // and with those that are folded among many
	Covered   []string `json:"covered"`   // what another one covers of the times on the axis
}

// TestInBrowser opens pages in a real browser, in light and dark, on a phone and on a
// desk: all can be read and reached, and nothing is loaded or complained about.
func TestInBrowser(t *testing.T) {
	browser := startBrowser(t)
	both, light := []string{"light", "dark"}, []string{"light"}
	for _, c := range []struct {
		name    string
		run     *Run
		schemes []string
	}{
		{"failed", failedRun(), both}, {"passed", passedRun(), both}, {"empty", &Run{Command: "nothing"}, both},
		{"odd", oddRun(), light}, {"huge", hugeRun(2000), light}, {"fan", fanRun(200, 57, 120, 199), both},
	} {
		html, err := HTML(c.run)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), c.name+".html")
		if err := os.WriteFile(path, html, 0o644); err != nil {
			t.Fatal(err)
		}
		for _, scheme := range c.schemes {
			for label, width := range map[string]int64{"phone": 360, "desk": 1280} {
				t.Run(c.name+"_"+scheme+"_"+label, func(t *testing.T) {
					lookAt(t, browser, "file://"+path, scheme, width, wantedFailures(c.run))
				})
			}
		}
	}
}

// wantedFailures is how many the page of a run opens with.
func wantedFailures(r *Run) int {
	o := outlineOf(r)
	n := min(len(o.trouble()), mostFailures)
	if len(o.own) > 0 {
		n++
	}
	return n
}

// startBrowser starts Chromium without a window.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	if testing.Short() {
		t.Skip("a browser takes a while")
	}
	// The sandbox needs rights that a container often lacks; the pages are our own.
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox)
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	browser, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	if err := chromedp.Do(browser); err != nil {
		if os.Getenv(demandBrowser) == "1" {
			t.Fatalf("no Chromium starts, though %s is 1: %v", demandBrowser, err)
		}
		t.Skipf("no Chromium starts (apt-get install chromium gets it): %v", err)
	}
	return browser
}

func lookAt(t *testing.T, browser context.Context, url, scheme string, width int64, failures int) {
	tab, cancel := chromedp.NewContext(browser)
	defer cancel()
	tab, cancel = context.WithTimeout(tab, 5*time.Minute)
	defer cancel()
	heard := listen(t, tab, url)
	emulated := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	if _, err := chromedp.Call(tab, emulation.SetEmulatedMedia, emulated); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(tab, chromedp.EmulateViewport(width, 800), chromedp.Navigate(url)); err != nil {
		t.Fatal(err)
	}
	found, err := chromedp.Run(tab, chromedp.Evaluate[looked](look))
	if err != nil {
		t.Fatal(err)
	}
	takePicture(t, tab)
	if found.Scroll > int(width) || found.Width != int(width) || len(found.Wide) > 0 {
		t.Errorf("the page is %d wide in a window of %d; over its edge are\n%s", found.Scroll, width, strings.Join(found.Wide, "\n"))
	}
	if found.Failures != failures || len(found.Hidden) > 0 {
		t.Errorf("%d failures are shown, want %d; not to be seen are %q", found.Failures, failures, found.Hidden)
	}
	if found.Texts < 4 || len(found.Faint) > 0 {
		t.Errorf("of %d texts are too faint\n%s", found.Texts, strings.Join(found.Faint, "\n"))
	}
	if found.Left != 0 {
		t.Errorf("%d steps that passed are still to be seen when they are to be left out", found.Left)
	}
	if len(found.Clipped) > 0 {
		t.Errorf("of the names of %d steps are cut\n%s", found.Names, strings.Join(found.Clipped, "\n"))
	}
	if len(found.Apart) > 0 || len(found.Covered) > 0 {
		t.Errorf("the timeline is not in line:\n%s\n%s", strings.Join(found.Apart, "\n"), strings.Join(found.Covered, "\n"))
	}
	if strings.Contains(t.Name(), "/fan_") && (found.Folded != 1+firstOf+3 || found.Unfolded != 201) {
		t.Errorf("of a fan-out %d steps are to be seen, and %d unfolded", found.Folded, found.Unfolded)
	}
	wanted := min(found.Summaries, 60) // on a longer page the rest is of the same kind
	if reached := tabThrough(t, tab, wanted); reached != wanted {
		t.Errorf("the keyboard reaches %d of %d summaries", reached, wanted)
	}
	for _, line := range heard() {
		t.Error(line)
	}
}

// listen notes what the page asks the network for, and what the browser complains about.
func listen(t *testing.T, tab context.Context, url string) func() []string {
	t.Helper()
	var mu sync.Mutex
	var all []string
	note := func(line string) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, line)
	}
	err := chromedp.Listen(tab, func(e any) {
		switch e := e.(type) {
		case *network.EventRequestWillBeSent:
			if e.Request.URL != url {
				note("the page loads " + e.Request.URL)
			}
		case *log.EventEntryAdded:
			note("the browser says: " + e.Entry.Text)
		case *runtime.EventConsoleAPICalled:
			note("the page writes to the console")
		case *runtime.EventExceptionThrown:
			note("a script fails: " + e.ExceptionDetails.Text)
		}
	})
	if err == nil {
		_, err = chromedp.Call(tab, network.Enable, network.EnableParams{})
	}
	if err == nil {
		_, err = chromedp.Call(tab, log.Enable, cdp.Empty{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return all
	}
}

// tabThrough presses the tabulator until the focus is back at the beginning, and counts
// the summaries that it came to and at which it could be seen.
func tabThrough(t *testing.T, tab context.Context, summaries int) int {
	t.Helper()
	seen := map[string]bool{}
	const where = `(() => {
		const e = document.activeElement
		if (!e || e.tagName !== "SUMMARY") return ""
		const style = getComputedStyle(e)
		return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 ? String([...document.querySelectorAll("summary")].indexOf(e)) : ""
	})()`
	for range 3*summaries + 60 { // a box that scrolls, and a link, may stand beside each
		if err := chromedp.Do(tab, chromedp.KeyEvent("\t")); err != nil {
			t.Fatal(err)
		}
		at, err := chromedp.Run(tab, chromedp.Evaluate[string](where))
		if err != nil {
			t.Fatal(err)
		}
		if at != "" {
			seen[at] = true
		}
		if len(seen) == summaries {
			break
		}
	}
	return len(seen)
}

// takePicture writes the whole page as a picture, if asked for.
func takePicture(t *testing.T, tab context.Context) {
	if *screenshots == "" {
		return
	}
	png, err := chromedp.Run(tab, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*screenshots, filepath.Base(t.Name())+".png"), png, 0o644); err != nil {
		t.Fatal(err)
	}
}
