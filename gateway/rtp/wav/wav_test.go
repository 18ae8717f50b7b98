package wav

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// file builds a WAVE file by hand.
func file(tag, channels, rate, bits int, size uint32, data []byte, before ...byte) []byte {
	le := binary.LittleEndian
	b := append([]byte("RIFF\x00\x00\x00\x00WAVE"), before...)
	b = le.AppendUint32(append(b, "fmt "...), 16)
	b = le.AppendUint16(b, uint16(tag))
	b = le.AppendUint16(b, uint16(channels))
	b = le.AppendUint32(b, uint32(rate))
	b = le.AppendUint32(b, uint32(rate*channels*bits/8))
	b = le.AppendUint16(b, uint16(channels*bits/8))
	b = le.AppendUint16(b, uint16(bits))
	b = le.AppendUint32(append(b, "data"...), size)
	return append(b, data...)
}

func TestRead(t *testing.T) {
	list := []byte("LIST\x03\x00\x00\x00abc\x00") // odd: one octet of padding
	for _, c := range []struct {
		name string
		in   []byte
		want [][]int16
	}{
		{"16-bit mono", file(1, 1, 8000, 16, 4, []byte{1, 0, 0xFF, 0xFF}), [][]int16{{1, -1}}},
		{"16-bit stereo", file(1, 2, 8000, 16, 4, []byte{1, 0, 2, 0}), [][]int16{{1}, {2}}},
		{"8-bit is unsigned", file(1, 1, 8000, 8, 3, []byte{0, 128, 255}), [][]int16{{-32768, 0, 32512}}},
		{"µ-law", file(7, 1, 8000, 8, 2, []byte{0xFF, 0x80}), [][]int16{{0, 32124}}},
		{"A-law", file(6, 1, 8000, 8, 2, []byte{0xD5, 0x2A}), [][]int16{{8, -32256}}},
		{"other chunks are passed over", file(1, 1, 8000, 16, 2, []byte{7, 0}, list...), [][]int16{{7}}},
		{"length unknown", file(1, 1, 8000, 16, 0xFFFFFFFF, []byte{7, 0, 8, 0}), [][]int16{{7, 8}}},
		{"length zero", file(1, 1, 8000, 16, 0, []byte{7, 0}), [][]int16{{7}}},
		{"cut off in a sample", file(1, 2, 8000, 16, 400, []byte{7, 0, 8, 0, 9}), [][]int16{{7}, {8}}},
		{"what follows the data is no sound", file(1, 1, 8000, 16, 2, []byte{7, 0, 'L', 'I'}), [][]int16{{7}}},
	} {
		got, err := Read(bytes.NewReader(c.in), 1000)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got.Rate != 8000 || !slices.EqualFunc(got.Channels, c.want, slices.Equal) {
			t.Errorf("%s: %d Hz, %v, want %v", c.name, got.Rate, got.Channels, c.want)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for want, in := range map[string][]byte{
		"does not begin with RIFF":      []byte("ID3\x04 an mp3 file"),
		"format 85 with 0 bits":         file(85, 1, 44100, 0, 0, nil),
		"PCM with 8 or 16 bits":         file(1, 1, 8000, 24, 3, []byte{1, 2, 3}),
		"6 channels":                    file(1, 6, 48000, 16, 0, nil),
		"samples per second; use":       file(1, 1, 1, 16, 0, nil),
		"comes before the fmt chunk":    []byte("RIFF\x00\x00\x00\x00WAVEdata\x00\x00\x00\x00"),
		"ends before a data chunk":      []byte("RIFF\x00\x00\x00\x00WAVE"),
		"chunk \"LIST\" is cut off":     []byte("RIFF\x00\x00\x00\x00WAVELIST\xff\xff\xff\xff"),
		"no data chunk among the first": append([]byte("RIFF\x00\x00\x00\x00WAVE"), bytes.Repeat([]byte("junk\x00\x00\x00\x00"), 100)...),
	} {
		if _, err := Read(bytes.NewReader(in), 1000); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if _, err := Read(bytes.NewReader(file(1, 1, 8000, 16, 0, make([]byte, 2002))), 1000); !errors.Is(err, ErrTooLong) {
		t.Errorf("1001 samples of 1000: %v, want ErrTooLong", err)
	}
}

func TestWhatIsWrittenReadsBack(t *testing.T) {
	left, right := []int16{0, 1000, -1000, 8}, []int16{8, -8, 32124, 0}
	for _, coding := range []Coding{PCM16, MuLaw, ALaw} {
		for channels := 1; channels <= 2; channels++ {
			f, err := os.Create(filepath.Join(t.TempDir(), "out.wav"))
			if err != nil {
				t.Fatal(err)
			}
			w, err := NewWriter(f, coding, 8000, channels)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Write(left[:1], right[:1]); err != nil {
				t.Fatal(err)
			}
			// What a crash would leave behind.
			half, _ := os.ReadFile(f.Name())
			if s, err := Read(bytes.NewReader(half), 10); err != nil || len(s.Channels[0]) != 1 {
				t.Errorf("unfinished file: %v, %v", s, err)
			}
			if err := errors.Join(w.Write(left[1:3], right[1:3]), w.Close(), f.Close()); err != nil {
				t.Fatal(err)
			}
			whole, _ := os.ReadFile(f.Name())
			if size := binary.LittleEndian.Uint32(whole[4:]); int(size) != len(whole)-8 {
				t.Errorf("RIFF length %d of a file of %d", size, len(whole))
			}
			s, err := Read(bytes.NewReader(whole), 10)
			if err != nil || len(s.Channels) != channels || len(s.Channels[0]) != 3 {
				t.Fatalf("coding %d: %v, %v", coding, s, err)
			}
			for i, v := range s.Channels[0] {
				if d := int(v) - int(left[i]); d < -32 || d > 32 {
					t.Errorf("coding %d: sample %d is %d, want about %d", coding, i, v, left[i])
				}
			}
		}
	}
}

// sine is a tone of half the full amplitude.
func sine(rate int, hz float64, samples int) []int16 {
	out := make([]int16, samples)
	for i := range out {
		out[i] = int16(16000 * math.Sin(2*math.Pi*hz*float64(i)/float64(rate)))
	}
	return out
}

// level is the amplitude of the tone hz in the middle of the sound, and of all
// that is there.
func level(in []int16, rate int, hz float64) (tone, all float64) {
	in = in[len(in)/4 : 3*len(in)/4]
	var re, im float64
	for i, s := range in {
		x := 2 * math.Pi * hz * float64(i) / float64(rate)
		re, im = re+float64(s)*math.Cos(x), im+float64(s)*math.Sin(x)
		all += float64(s) * float64(s)
	}
	n := float64(len(in))
	return 2 * math.Hypot(re, im) / n, math.Sqrt(2 * all / n)
}

func TestResampleKeepsSpeechAndFoldsNothingBack(t *testing.T) {
	for _, rate := range []int{11025, 16000, 22050, 24000, 32000, 44100, 48000, 96000, 12345} {
		for _, hz := range []float64{300, 1000, 3400} {
			out := Resample(sine(rate, hz, rate), rate, 8000)
			if len(out) != 8000 {
				t.Fatalf("%d Hz: a second has %d samples", rate, len(out))
			}
			if tone, all := level(out, 8000, hz); math.Abs(20*math.Log10(tone/16000)) > 0.2 || all/tone > 1.002 {
				t.Errorf("%d Hz: %g Hz came out with amplitude %.0f of 16000, %.0f in all", rate, hz, tone, all)
			}
		}
		if above := 4600.0; float64(rate) > 2*above {
			if _, all := level(Resample(sine(rate, above, rate), rate, 8000), 8000, 1000); all > 16 { // -60 dB
				t.Errorf("%d Hz: %g Hz leaves an amplitude of %.1f", rate, above, all)
			}
		}
	}
	if tone, _ := level(Resample(sine(8000, 1000, 8000), 8000, 48000), 48000, 1000); math.Abs(tone-16000) > 200 {
		t.Errorf("upwards: amplitude %.0f", tone)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(file(1, 1, 8000, 16, 4, []byte{1, 0, 2, 0}))
	f.Add(file(7, 2, 44100, 8, 0xFFFFFFFF, []byte{1, 2, 3}))
	f.Add(file(tagExtensible, 1, 8000, 16, 0, nil, []byte("LIST\x02\x00\x00\x00ab")...))
	f.Fuzz(func(t *testing.T, in []byte) {
		s, err := Read(bytes.NewReader(in), 1000)
		if err != nil {
			return
		}
		if len(s.Channels[0]) > 1000 || len(s.Mono()) != len(s.Channels[len(s.Channels)-1]) {
			t.Fatalf("%d channels, %d samples", len(s.Channels), len(s.Channels[0]))
		}
	})
}
