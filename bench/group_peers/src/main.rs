// One active channel in a group of many, by crossbeam's Select: group WIDTH MESSAGES prints the seconds that the round trips took.
use crossbeam_channel::{bounded, Select};
use std::{env, thread, time::Instant};

fn main() {
    let numbers: Vec<usize> = env::args().skip(1).map(|a| a.parse().unwrap()).collect();
    let (width, messages) = (numbers[0], numbers[1]);
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..width).map(|_| bounded::<usize>(16)).unzip();
    let (answer, answers) = bounded::<usize>(1);
    let mut group = Select::new();
    for receiver in &receivers {
        group.recv(receiver);
    }
    let start = Instant::now();
    let active = senders[width / 2].clone();
    let client = thread::spawn(move || {
        for n in 1..=messages {
            active.send(n).unwrap();
            answers.recv().unwrap();
        }
    });
    for n in 1..=messages {
        let ready = group.select();
        let index = ready.index();
        assert_eq!(ready.recv(&receivers[index]), Ok(n));
        answer.send(n).unwrap();
    }
    client.join().unwrap();
    println!("{}", start.elapsed().as_secs_f64());
}
