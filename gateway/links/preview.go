package links

import (
	"net/http"
	"slices"
	"strings"
)

// previewers are parts of the User-Agent, in lower case, of programs that fetch
// what a message links to without a person asking: previews of messengers,
// crawlers, scanners of mail and links, and tools.
//
// Apple's Messages presents itself as facebookexternalhit and Twitterbot.
var previewers = []string{
	"bot", "crawl", "spider", "slurp", "preview", "scanner", "monitor", "validator", "archiver", "headless", "phantomjs", "lighthouse", "prerender",
	"facebookexternalhit", "facebookcatalog", "meta-external", "whatsapp", "viber", "skypeuripreview", "snapchat", "vkshare", "embedly",
	"pinterest/", "tumblr/", "flipboard", "nuzzel", "bitlybot", "quora link", "redditbot", "google-safety", "google-inspectiontool", "googleother",
	"google-read-aloud", "google web preview", "googleimageproxy", "feedfetcher", "mediapartners-google", "apis-google", "yahoomailproxy",
	"bingpreview", "microsoft office", "ms-office", "microsoftpreview", "safelinks", "barracuda", "mimecast", "proofpoint", "symantec", "trendmicro", "fortiguard", "checkpoint",
	"urlscan", "virustotal", "kaspersky", "avast", "zscaler", "cloudmark",
	"curl/", "wget/", "python", "go-http-client", "java/", "okhttp", "apache-httpclient", "libwww", "node-fetch", "axios", "undici", "ruby", "perl", "php/", "guzzle", "httpie", "postman", "scrapy", "dart:io",
}

// browsers are parts of a User-Agent that contain a part of previewers and belong
// to people's programs.
var browsers = strings.NewReplacer("cubot", "") // phones of that maker

// isPreview says whether a request is a program's: it is answered the same way and
// not counted as a click (rule U1). A wrong guess costs a count, nothing else.
func isPreview(r *http.Request) bool { return byProgram(r, browsers) }

// viewers are parts of a User-Agent that belong to programs which load the pictures of
// a mail when a person reads it: proxies of mailbox providers, and Outlook.
var viewers = strings.NewReplacer("cubot", "", "googleimageproxy", "", "yahoomailproxy", "", "microsoft office", "", "ms-office", "")

// loadsAhead are User-Agents of programs that load the pictures of every mail as it
// comes in, read or not: Apple's Mail Privacy Protection, and Google's.
var loadsAhead = []string{
	"mozilla/5.0",
	"mozilla/5.0 (windows nt 10.0; win64; x64) applewebkit/537.36 (khtml, like gecko) chrome/42.0.2311.135 safari/537.36 edge/12.246 mozilla/5.0",
}

// isMachineOpen says whether the picture of a mail was loaded without anybody reading it.
func isMachineOpen(r *http.Request) bool {
	return slices.Contains(loadsAhead, strings.ToLower(strings.TrimSpace(r.UserAgent()))) || byProgram(r, viewers)
}

// byProgram says whether a request is a program's, but for those that known removes.
func byProgram(r *http.Request, known *strings.Replacer) bool {
	if r.Method == http.MethodHead {
		return true
	}
	for _, name := range [...]string{"Purpose", "Sec-Purpose", "X-Purpose", "X-Moz"} { // prefetch, prerender, preview
		if r.Header.Get(name) != "" {
			return true
		}
	}
	agent := strings.ToLower(r.UserAgent())
	if len(agent) > agentMost {
		agent = agent[:agentMost]
	}
	if agent == "" {
		return true
	}
	agent = known.Replace(agent)
	for _, part := range previewers {
		if strings.Contains(agent, part) {
			return true
		}
	}
	return false
}

// agentMost bounds how much of a User-Agent is looked at.
const agentMost = 512
