package links

import (
	"net/http"
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
func isPreview(r *http.Request) bool {
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
	agent = browsers.Replace(agent)
	for _, part := range previewers {
		if strings.Contains(agent, part) {
			return true
		}
	}
	return false
}

// agentMost bounds how much of a User-Agent is looked at.
const agentMost = 512
