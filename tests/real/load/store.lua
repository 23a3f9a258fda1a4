-- Stores one memory of its own with every request, over MCP.

local token = os.getenv("AKOSHA_TOKEN")
local threads = 0
local counter = 0

-- Answered and said to be stored; read by the report.
confirmed = 0
-- The first answer that is none of these.
complaint = ""

function setup(thread)
  threads = threads + 1
  thread:set("number", threads)
end

function request()
  counter = counter + 1
  local id = string.format("load-%d-%d", number, counter)
  local text = string.format(
    "Thread %d noted as its number %d that the queue of billing drains after a retry.",
    number, counter)
  local body = string.format(
    '{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"store_memory",'
      .. '"arguments":{"memory_id":"%s","text":"%s","metadata":{"source":"load"}}}}',
    counter, id, text)
  local headers = {
    ["Content-Type"] = "application/json",
    ["Accept"] = "application/json, text/event-stream",
    ["MCP-Protocol-Version"] = "2025-11-25",
  }
  if token then
    headers["Authorization"] = "Bearer " .. token
  end
  return wrk.format("POST", "/mcp", headers, body)
end

-- A call that failed is answered with 200 and says so in its body.
function response(status, headers, body)
  if status == 200 and body:find('"status":"stored"', 1, true) then
    confirmed = confirmed + 1
  elseif complaint == "" then
    complaint = status .. " " .. body:sub(1, 500)
  end
end

dofile(os.getenv("AKOSHA_REPORT"))
