import ArgumentParser
@main struct S: ParsableCommand { func run() { print("hi") } }
