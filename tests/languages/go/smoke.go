// Command smoke streams text, cancels a stream and goes on with it, reads a BadRequest; prints what it saw as JSON.
package main

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"os"
	"strconv"
	"time"

	rhapsode "github.com/rhapsode/rhapsode/gen/go/rhapsode/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type seen struct {
	Started    *rhapsode.TextStarted                   `json:"started"`
	Text       string                                  `json:"text"`
	TokenIDs   []uint32                                `json:"token_ids"`
	Code       codes.Code                              `json:"code"`
	Violations []*errdetails.BadRequest_FieldViolation `json:"violations"`
}

// read reads a stream to its end; cancels it when enough tokens have come, and keeps what was under way.
func read(texts rhapsode.TextServiceClient, generation *rhapsode.TextGeneration, enough int) (got seen) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	stream, err := texts.StreamText(ctx, &rhapsode.StreamTextRequest{Generation: generation})
	for err == nil {
		var reply *rhapsode.StreamTextResponse
		if reply, err = stream.Recv(); reply.GetStarted() != nil {
			got.Started = reply.Started
		}
		for _, chunk := range reply.GetChunks() {
			got.Text += chunk.Text
			got.TokenIDs = append(got.TokenIDs, chunk.TokenIds...)
		}
		if len(got.TokenIDs) >= enough {
			cancel()
		}
	}
	if got.Code = status.Code(err); err == io.EOF {
		got.Code = codes.OK
	}
	for _, detail := range status.Convert(err).Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok {
			got.Violations = append(got.Violations, bad.FieldViolations...)
		}
	}
	return got
}

func main() {
	address, model := os.Args[1], os.Args[2]
	seed, err := strconv.ParseUint(os.Args[3], 10, 64)
	connection, failure := grpc.Dial(address, grpc.WithInsecure())
	if err != nil || failure != nil {
		log.Fatal(err, failure)
	}
	texts := rhapsode.NewTextServiceClient(connection)
	ask := func(tokens uint32, received []uint32, enough int, sampling *rhapsode.Sampling) seen {
		generation := &rhapsode.TextGeneration{Model: model, Seed: &seed, Sampling: sampling, ReceivedTokenIds: received}
		generation.Prompt = &rhapsode.TextGeneration_Text{Text: "ab"}
		generation.Stopping = &rhapsode.Stopping{MaxTokens: &tokens}
		return read(texts, generation, enough)
	}
	const never = 1 << 30
	whole, cancelled := ask(64, nil, never, nil), ask(50_000, nil, 8, nil)
	resumed := ask(uint32(len(cancelled.TokenIDs))+64, cancelled.TokenIDs, never, nil)
	tooMuch := float32(1.5)
	refused := ask(64, nil, never, &rhapsode.Sampling{TopP: &tooMuch})
	all := map[string]seen{"whole": whole, "cancelled": cancelled, "resumed": resumed, "refused": refused}
	if err := json.NewEncoder(os.Stdout).Encode(all); err != nil {
		log.Fatal(err)
	}
}
