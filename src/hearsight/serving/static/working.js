// A film that is not localised yet: how far it is, until it is there.

import { ask, isOver, jobCount, jobStage, showProgress, tell, watchJobs } from "./common.js";

const held = document.getElementById("job");
const bar = document.getElementById("job-progress");

if (bar) {
  watchJobs((jobs) => {
    const job = jobs.find((each) => each.id === held.dataset.job);
    if (!job || isOver(job)) {
      location.reload(); // a server that was started anew knows the film, or says that it does not
      return;
    }
    showProgress(bar, job);
    tell(document.getElementById("job-said"), jobStage(job));
    document.getElementById("job-count").textContent = jobCount(job);
  });
  document.getElementById("job-cancel").addEventListener("click", () => {
    ask("DELETE", `/jobs/${held.dataset.job}`).catch(() => location.reload());
  });
}
