// A film that is not localised yet: how far it is, until it is there.

import { ask, jobSentence, watchJobs } from "./common.js";

const held = document.getElementById("job");
const bar = document.getElementById("job-progress");
const said = document.getElementById("job-said");

if (bar) {
  watchJobs((jobs) => {
    const job = jobs.find((each) => each.id === held.dataset.job);
    if (!job) return;
    if (!["waiting", "running"].includes(job.state)) {
      location.reload();
      return;
    }
    if (job.total) bar.value = (100 * job.done) / job.total;
    else bar.removeAttribute("value");
    if (said.textContent !== jobSentence(job)) said.textContent = jobSentence(job);
  });
  document.getElementById("job-cancel").addEventListener("click", () => {
    ask("DELETE", `/jobs/${held.dataset.job}`).catch(() => location.reload());
  });
}
