package httpapi

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"trunkline/flowengine/runtime"
)

func (s *site) begin(format string, more object) string {
	s.Helper()
	body := object{"format": format}
	for name, value := range more {
		body[name] = value
	}
	var v Import
	s.post(People, importsPath, body).is(201).into(&v)
	return v.ID
}

func (s *site) rows(id string, offset int64, end bool, text string) *answer {
	s.Helper()
	return s.send(request{scope: People, method: "POST", path: fmt.Sprintf("%s/%s/rows?offset=%d&end=%t", importsPath, id, offset, end), body: text, header: map[string]string{"Content-Type": "text/csv"}})
}

// A file may be cut anywhere, even within a character or a quoted line end: each
// request begins where the import is, and every row is imported once.
func TestImportInPieces(t *testing.T) {
	s := newSite(t, options{})
	files := map[string]string{
		"csv":    "\xef\xbb\xbfphone;firstName;shoeSize\r\n385911000001;\"Ana \"\"A\"\"\r\nMarić\";38\r\n\r\n385911000002;Bo;\"4;2\"\r\n385911000003;Čedo;44\r\n385911000004;Dan;45",
		"ndjson": "{\"phone\":\"385911000011\",\"firstName\":\"Ana\"}\n\n{\"phone\":\"385911000012\",\"shoeSize\":\"x\"}\n{\"phone\":\"385911000013\",\"firstName\":\"Čedo\"}\r\n{\"phone\":\"385911000014\"}",
	}
	for format, file := range files {
		for size := 3; size <= len(file); size += 10 {
			id := s.begin(format, object{"size": len(file)})
			var v Import
			for piece := size; !v.Ended; piece += size { // a piece within which no row ends has to grow
				end := min(int(v.Offset)+piece, len(file))
				a := s.rows(id, v.Offset, end == len(file), file[v.Offset:end])
				if a.status == 422 && v.Offset == 0 { // within the header
					continue
				}
				before := v.Offset
				a.is(200).into(&v)
				if v.Offset > before {
					piece = 0
				}
			}
			got := fmt.Sprint(v.Rows, v.Created+v.Updated+v.Unchanged, v.Wrong, v.Line, v.Offset, v.Progress)
			want := fmt.Sprint(4, 3, 1, strings.Count(file, "\n")+2, len(file), 1)
			if got != want {
				t.Fatalf("%s in pieces of %d: %s, want %s", format, size, got, want)
			}
			var faults struct{ Faults []ImportFault }
			s.get(People, importsPath+"/"+id+"/faults").is(200).into(&faults)
			if len(faults.Faults) != 1 || faults.Faults[0].Column != "shoeSize" {
				t.Fatalf("%s in pieces of %d: %+v", format, size, faults.Faults)
			}
		}
	}
	expect(t, "name", fmt.Sprint(s.get(People, "/v1/people/385911000001").is(200).field("attributes")), "map[firstName:Ana \"A\"\nMarić shoeSize:38]")
	s.get(People, "/v1/people/385911000002").is(404)
	s.get(People, "/v1/people/385911000014").is(200)
}

// Rows are imported while they come, and what was imported stays when the request
// breaks off.
func TestImportBreaksOff(t *testing.T) {
	s := newSite(t, options{})
	id := s.begin("csv", nil)
	read, write := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+importsPath+"/"+id+"/rows?offset=0", read)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.keys[People])
	done := make(chan struct{})
	go func() {
		defer close(done)
		if res, err := http.DefaultClient.Do(req); err == nil {
			res.Body.Close()
			t.Error("the request did not break off")
		}
	}()
	var file strings.Builder
	file.WriteString("phone,tags\n")
	const n = importRows + importRows/2
	for i := range n {
		fmt.Fprintf(&file, "%s,x\n", phoneOf(i))
	}
	text := file.String()
	if _, err := io.WriteString(write, text); err != nil {
		t.Fatal(err)
	}
	var v Import
	s.eventually("a batch", func() bool {
		s.get(People, importsPath+"/"+id).is(200).into(&v)
		return v.Rows >= importRows
	})
	write.CloseWithError(io.ErrClosedPipe)
	<-done
	s.get(People, importsPath+"/"+id).is(200).into(&v)
	expect(t, "ended", v.Ended, false)
	s.rows(id, v.Offset, true, text[v.Offset:]).is(200).into(&v)
	expect(t, "rows", v.Rows, n)
	expect(t, "created", v.Created, n)
	expect(t, "ended", v.Ended, true)
}

func TestImportRefused(t *testing.T) {
	s := newSite(t, options{})
	s.post(People, importsPath, object{"format": "xml"}).is(422).wrong("/format")
	s.post(People, importsPath, object{"format": "ndjson", "map": object{"a": "hatSize"}}).is(422).wrong("/map")
	s.post(People, importsPath, object{"format": "csv", "on_conflict": "guess"}).is(422).wrong("/on_conflict")
	s.get(People, importsPath+"/nothing").is(404)
	s.get(People, importsPath+"/"+runtime.OperationID{}.String()).is(404)
	s.post(Events, importsPath, object{"format": "csv"}).is(403)

	id := s.begin("csv", nil)
	s.rows(id, 7, false, "x").is(409)
	s.rows(id, 0, true, "").is(422)
	s.rows(id, 0, true, "firstName\nAna\n").is(422)
	s.rows(id, 0, true, "phone,hatSize\n385911000001,1\n").is(422)
	s.rows(id, 0, false, "phone\n").is(200)
	s.rows(id, 0, false, "phone\n").is(409)
	s.rows(id, 6, true, "385911000001\n385911000002,3\n\"385911000003\n").is(200)
	s.rows(id, 44, true, "").is(409)
	var page faultsPage
	s.get(People, importsPath+"/"+id+"/faults?limit=1").is(200).into(&page.Body)
	expect(t, "first fault", page.Body.Faults[0].Line, 3)
	s.get(People, importsPath+"/"+id+"/faults?limit=1&cursor="+page.Body.Cursor).is(200).into(&page.Body)
	expect(t, "second fault", page.Body.Faults[0].Line, 4)

	dry := s.begin("csv", object{"dry_run": true, "map": object{"Mobile": "phone"}})
	var v Import
	s.rows(dry, 0, true, "Mobile\n385911000091\nx\n").is(200).into(&v)
	expect(t, "dry run", fmt.Sprint(v.Rows, v.Checked, v.Wrong, v.Created), "2 1 1 0")
	s.get(People, "/v1/people/385911000091").is(404)

	once := request{scope: People, method: "POST", path: importsPath, body: object{"format": "csv"}, header: map[string]string{"Idempotency-Key": "k"}}
	expect(t, "the same import", s.send(once).is(201).field("id"), s.send(once).is(201).field("id"))
}
