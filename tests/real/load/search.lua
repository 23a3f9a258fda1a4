-- Searches by words, and says at the end how it went, as JSON.

local words = { "deploy", "billing", "timeout", "cache", "index", "queue", "token", "retry", "ferry" }
local token = os.getenv("AKOSHA_TOKEN")
local counter = 0

function request()
  counter = counter + 1
  local first = words[counter % #words + 1]
  local second = words[math.floor(counter / #words) % #words + 1]
  local headers = token and { Authorization = "Bearer " .. token } or {}
  return wrk.format("GET", "/api/v1/search?limit=10&query=" .. first .. "%20" .. second, headers)
end

-- The first answer that is no result; read by the report.
complaint = ""

function response(status, headers, body)
  if status ~= 200 and complaint == "" then
    complaint = status .. " " .. body:sub(1, 500)
  end
end

dofile(os.getenv("AKOSHA_REPORT"))
