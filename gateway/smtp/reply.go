package smtp

import (
	"regexp"
	"strings"
)

// replyText is what the writer of a mail has written: the text without quotations,
// the line that introduces them, the signature, and what mail programs put below.
// Answers between quoted lines stay, one below the other.
func replyText(text string) string {
	lines := strings.Split(text, "\n")
	kept := make([]string, 0, len(lines))
	written := false
	for i, line := range lines {
		line = strings.TrimRight(line, " \t\r")
		if ends(lines, i) || written && introduces(lines, i) {
			break
		}
		if quoted(line) {
			kept = withoutIntroduction(kept)
			continue
		}
		kept, written = append(kept, line), written || line != ""
	}
	return tidy(withoutGreeting(kept))
}

// What a line must have, at least, before an expression looks at it: most have not.
const (
	digits         = "0123456789"
	headerNameMost = 24
)

// quoted: a line of a mail that is answered (RFC 3676 §4.5).
func quoted(line string) bool { return strings.HasPrefix(strings.TrimLeft(line, " \t"), ">") }

// ends tells whether nothing of the writer follows from line i on: the signature
// (RFC 3676 §4.3), or the mail that is answered as a whole.
func ends(lines []string, i int) bool {
	line := strings.TrimRight(lines[i], "\r")
	if line == "-- " || line == "--" {
		return true
	}
	line = strings.TrimSpace(line)
	colon := strings.IndexByte(line[:min(len(line), headerNameMost)], ':') > 0
	switch {
	case line == "":
		return false
	case strings.HasPrefix(line, "--") && original.MatchString(line):
		return true
	case strings.Trim(line, "_") == "" && len(line) >= 10, colon && headerLine.MatchString(line):
		return headerBlock(lines[i:])
	}
	return false
}

// introduces tells whether line i belongs to the words before a mail that is answered
// as a whole, without being marked as a quotation: "On …, … wrote:", in up to three
// lines.
func introduces(lines []string, i int) bool {
	line := strings.TrimSpace(lines[i])
	switch {
	case strings.HasSuffix(line, ":") && introductionEnd.MatchString(line):
		for back := range min(3, i+1) {
			if introductionBegin.MatchString(strings.TrimSpace(lines[i-back])) {
				return !answersFollow(lines[i+1:])
			}
		}
	case strings.ContainsAny(line, digits) && introductionBegin.MatchString(line):
		for ahead := 1; ahead <= 2 && i+ahead < len(lines); ahead++ {
			if next := strings.TrimSpace(lines[i+ahead]); introductionEnd.MatchString(next) {
				return !answersFollow(lines[i+ahead+1:])
			}
		}
	}
	return false
}

// answersFollow tells whether there is a quotation marked as one, so that the
// writer's own lines can be told from it.
func answersFollow(lines []string) bool {
	for _, l := range lines {
		if l = strings.TrimSpace(l); l != "" {
			return quoted(l)
		}
	}
	return false
}

// withoutIntroduction takes the line before a quotation away that says whose it is.
func withoutIntroduction(kept []string) []string {
	n := len(kept)
	for n > 0 && kept[n-1] == "" && len(kept)-n < 5 {
		n--
	}
	if n == 0 || !strings.HasSuffix(kept[n-1], ":") {
		return kept
	}
	for back := 1; back <= 3 && back <= n && kept[n-back] != ""; back++ {
		if introductionBegin.MatchString(strings.TrimSpace(kept[n-back])) {
			return kept[:n-back]
		}
	}
	return kept
}

// headerBlock: a copied header, as Outlook writes it above a mail that is answered.
func headerBlock(lines []string) bool {
	found := 0
	for _, l := range lines[:min(8, len(lines))] {
		if headerLine.MatchString(strings.TrimSpace(l)) {
			found++
		}
	}
	return found >= 3
}

// withoutGreeting drops the lines at the end with which phones advertise themselves.
func withoutGreeting(kept []string) []string {
	for n := len(kept); n > 0; n = len(kept) {
		if line := strings.TrimSpace(kept[n-1]); line != "" && !advertisement.MatchString(line) {
			break
		}
		kept = kept[:n-1]
	}
	return kept
}

// tidy joins lines, with at most one empty line between two of them.
func tidy(kept []string) string {
	room := 0
	for _, l := range kept {
		room += len(l) + 1
	}
	var b strings.Builder
	b.Grow(room)
	empty := 0
	for _, l := range kept {
		if strings.TrimSpace(l) == "" {
			empty++
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\n\n"[:min(empty, 1)+1])
		}
		empty = 0
		b.WriteString(l)
	}
	return b.String()
}

// How mail programs introduce what is answered, in the languages of most of them.
var (
	introductionBegin = regexp.MustCompile(`^(?i:on|am|le|el|il|em|op|den|dana|dne|w dniu|pe|\d{1,4}[-./]\d{1,2}[-./]\d{1,4})[ ,].*\d`)
	introductionEnd   = regexp.MustCompile(`(?i)(wrote|schrieb.*|a écrit|escribió|escreveu|ha scritto|schreef.*|skrev|napisao(/la)?|napisala|je napisao.*|je pisal.*|napsal\(a\)|pisze|napisał\(?a?\)?|a scris)\s*:$`)
	original          = regexp.MustCompile(`(?i)^-{2,}\s*(original message|ursprüngliche nachricht|message d'origine|mensaje original|messaggio originale|originalna poruka|izvorna poruka|oorspronkelijk bericht|forwarded message|weitergeleitete nachricht|original appointment)\s*-{2,}$`)
	headerLine        = regexp.MustCompile(`^\*?(From|Sent|To|Cc|Subject|Date|Von|Gesendet|An|Betreff|Datum|De|Envoyé|À|Objet|Para|Asunto|Enviado|Da|Inviato|A|Oggetto|Od|Poslano|Prima|Za|Predmet|Van|Verzonden|Aan|Onderwerp)\s?:\*?\s`)
	advertisement     = regexp.MustCompile(`(?i)^(sent (from|via) (my |yahoo|outlook|mail|proton|samsung)|get outlook for|von meine[mr] .* gesendet|gesendet von|envoyé de(puis)? mon|enviado (desde|do) m|inviato d|poslano (s|iz) )`)
)
