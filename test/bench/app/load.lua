-- wrk's script: -- METHOD [BYTES of body]. The request is made once, so that wrk does no more work than without a script.
function init(args)
  wrk.method = args[1] or "GET"
  if args[2] then
    wrk.body = string.rep("x", tonumber(args[2]))
  end
end

-- One line for the program that started wrk: times in microseconds.
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('result {"requests": %d, "us": %d, "p50Us": %d, "p99Us": %d, "failed": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
