-- What both scripts say at their end.

local all = {}
local earlier = setup

function setup(thread)
  all[#all + 1] = thread
  if earlier then
    earlier(thread)
  end
end

function done(summary, latency, requests)
  local confirmed = 0
  local complaint = ""
  for _, thread in ipairs(all) do
    confirmed = confirmed + (thread:get("confirmed") or 0)
    complaint = complaint .. thread:get("complaint")
  end
  if complaint ~= "" then
    io.write("\nCOMPLAINT " .. complaint:gsub("[%c]", " "))
  end
  local errors = summary.errors
  io.write(string.format(
    '\nREPORT {"requests":%d,"seconds":%.3f,"p50_ms":%.3f,"p99_ms":%.3f,"max_ms":%.3f,'
      .. '"status":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d,"confirmed":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, latency.max / 1e3, errors.status, errors.connect, errors.read,
    errors.write, errors.timeout, confirmed))
end
