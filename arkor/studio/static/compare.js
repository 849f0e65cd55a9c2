// Two runs compared: their curves over each other, and the tables once both logs are read.
import { Chart } from "./chart.js";
import { toast } from "./http.js";
import { fetchPage, renew } from "./live.js";

try {
  await new Chart(document.getElementById("chart")).refresh();
  if ("waits" in document.getElementById("course").dataset) renew(await fetchPage(), "course");
} catch (error) {
  toast(error.message, "bad");
}
