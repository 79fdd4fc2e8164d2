// One active channel in a group of many, by Go's reflect.Select: group WIDTH MESSAGES prints the seconds that the round trips took.
package main

import (
	"fmt"
	"os"
	"reflect"
	"strconv"
	"time"
)

func argument(i int) int {
	n, err := strconv.Atoi(os.Args[i])
	if err != nil {
		panic(err)
	}
	return n
}

func main() {
	width, messages := argument(1), argument(2)
	channels := make([]chan int, width)
	cases := make([]reflect.SelectCase, width)
	for i := range channels {
		channels[i] = make(chan int, 16)
		cases[i] = reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(channels[i])}
	}
	answers := make(chan int, 1)
	start := time.Now()
	go func() {
		for n := 1; n <= messages; n++ {
			channels[width/2] <- n
			<-answers
		}
	}()
	for n := 1; n <= messages; n++ {
		_, value, _ := reflect.Select(cases)
		if int(value.Int()) != n {
			panic("what was received is not what was sent")
		}
		answers <- n
	}
	fmt.Println(time.Since(start).Seconds())
}
