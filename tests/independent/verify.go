// Verifies proofs of a ledger with Go's golang.org/x/mod/sumdb, which shares no code with Muniment.
//
//	GO111MODULE=off GOPATH=/usr/share/gocode go run verify.go KEY <files
//
// Each line of standard input names a .tlog-proof, or an older checkpoint and a proof of consistency. For each line
// one line is printed: "ok", or what is wrong.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// open reads a signed checkpoint: its size and root.
func open(text []byte, key note.Verifier) (tlog.Tree, error) {
	signed, err := note.Open(text, note.VerifierList(key))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(signed.Text, "\n")
	if len(lines) != 4 || lines[0] != key.Name() {
		return tlog.Tree{}, errors.New("not a checkpoint of this ledger")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

func hashes(lines []string) ([]tlog.Hash, error) {
	var found []tlog.Hash
	for _, line := range lines {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return nil, err
		}
		found = append(found, hash)
	}
	return found, nil
}

// split cuts a file into its lines before the first empty one, and the note after it.
func split(path string) ([]string, []byte, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	parts := strings.SplitN(string(content), "\n\n", 2)
	if len(parts) != 2 {
		return nil, nil, errors.New("no note")
	}
	return strings.Split(parts[0], "\n"), []byte(parts[1]), nil
}

func inclusion(path string, key note.Verifier) error {
	lines, signed, err := split(path)
	if err != nil {
		return err
	}
	tree, err := open(signed, key)
	if err != nil {
		return err
	}
	if len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return errors.New("not a proof")
	}
	extra, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	if err != nil {
		return err
	}
	var held struct{ Leaf []byte }
	if err := json.Unmarshal(extra, &held); err != nil {
		return err
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	if err != nil {
		return err
	}
	proof, err := hashes(lines[3:])
	if err != nil {
		return err
	}
	return tlog.CheckRecord(tlog.RecordProof(proof), tree.N, tree.Hash, index, tlog.RecordHash(held.Leaf))
}

func consistency(older, path string, key note.Verifier) error {
	content, err := os.ReadFile(older)
	if err != nil {
		return err
	}
	before, err := open(content, key)
	if err != nil {
		return err
	}
	lines, signed, err := split(path)
	if err != nil {
		return err
	}
	after, err := open(signed, key)
	if err != nil {
		return err
	}
	proof, err := hashes(lines[1:])
	if err != nil {
		return err
	}
	return tlog.CheckTree(tlog.TreeProof(proof), after.N, after.Hash, before.N, before.Hash)
}

func main() {
	key, err := note.NewVerifier(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		paths := strings.Split(input.Text(), "\t")
		var wrong error
		if len(paths) == 1 {
			wrong = inclusion(paths[0], key)
		} else {
			wrong = consistency(paths[0], paths[1], key)
		}
		if wrong != nil {
			fmt.Println(wrong)
		} else {
			fmt.Println("ok")
		}
	}
}
