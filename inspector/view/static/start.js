// Loads the page anew where a file of it did not arrive: a network that changes cuts off what is on its way, and the
// page would stay dead. It is no module and comes first, so that it hears of all others.

const AGAIN = 1000; // milliseconds

function again() {
  setTimeout(() => location.reload(), AGAIN);
}

addEventListener("error", (event) => event.target !== window && again(), true); // of a file; a bug's target is the window
