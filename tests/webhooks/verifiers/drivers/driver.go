// Reads requests as JSON on standard input, prints what the verifier says of each.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"

	"verifier/webhook"
)

type request struct {
	Secrets []string          `json:"secrets"`
	Headers map[string]string `json:"headers"`
	Body    []byte            `json:"body"`
	Now     int64             `json:"now"`
}

func main() {
	var requests []request
	if err := json.NewDecoder(os.Stdin).Decode(&requests); err != nil {
		panic(err)
	}
	said := []string{}
	for _, r := range requests {
		headers := http.Header{}
		for name, value := range r.Headers {
			headers.Set(name, value)
		}
		err := webhook.Verify(r.Secrets, headers, r.Body, 5*time.Minute, time.Unix(r.Now, 0))
		if err == nil {
			said = append(said, "ok")
		} else {
			said = append(said, err.Error())
		}
	}
	out, err := json.Marshal(said)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(out))
}
